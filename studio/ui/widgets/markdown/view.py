"""A Markdown text that may still grow: one widget a block, and only what changed is drawn anew."""

from __future__ import annotations

from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from studio.ui.widgets.markdown.blocks import Block, split
from studio.ui.widgets.markdown.code import Code
from studio.ui.widgets.markdown.prose import Prose


class MarkdownView(QWidget):
    """Shows a text; `show_text` may be called as often as it grows."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._blocks: list[Block] = []
        self.parts: list[Prose | Code] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(10)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def text(self) -> str:
        """The text as it was given."""
        return self._text

    def show_text(self, text: str) -> None:
        """Show this text."""
        if text == self._text:
            return
        self._text = text
        blocks = split(text)
        for number, block in enumerate(blocks):
            if number < len(self._blocks) and self._blocks[number] == block:
                continue
            self._show(number, block)
        while len(self.parts) > len(blocks):
            self._drop(len(self.parts) - 1)
        self._blocks = blocks

    def _show(self, number: int, block: Block) -> None:
        wanted = Code if block.kind == "code" else Prose
        if number < len(self.parts) and not isinstance(self.parts[number], wanted):
            self._drop(number)
            self._insert(number, wanted())
        elif number == len(self.parts):
            self._insert(number, wanted())
        part = self.parts[number]
        if isinstance(part, Code):
            part.show_code(block.text, block.language)
        else:
            part.show_text(block.text)

    def _insert(self, number: int, part: Prose | Code) -> None:
        self.parts.insert(number, part)
        self._box.insertWidget(number, part)

    def _drop(self, number: int) -> None:
        part = self.parts.pop(number)
        part.hide()
        self._box.removeWidget(part)
        part.deleteLater()
