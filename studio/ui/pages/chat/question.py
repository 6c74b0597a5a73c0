"""What the user asked: copied, edited into a branch, or switched to another."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.ui.pages.chat.branches import Branches
from studio.ui.pages.chat.editing import Editing, Entry
from studio.ui.widgets import Button, ToolButton, label, row

_WIDEST = 520
_LONG, _PIECE = re.compile(r"\S{60,}"), 30


class Question(QWidget):
    """The bubble at the right, with its tools below it."""

    edited = Signal(str)
    """The question as it is to be asked instead."""
    again = Signal()
    """Answer it once more."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.bubble = _Bubble(text)
        self._editor: _Editor | None = None
        self.branches = Branches()
        self.pencil = ToolButton("pencil", "Edit and ask again")
        self.copy = ToolButton("copy", "Copy this question")
        self.refresh = ToolButton("refresh", "Answer once more (Ctrl+R)")
        self.pencil.clicked.connect(self.edit)
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text))
        self.refresh.clicked.connect(self.again)
        self._tools = QWidget()
        tools = row(None, self.branches, self.copy, self.pencil, self.refresh, spacing=2)
        self._tools.setLayout(tools)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(3)
        self._box.addLayout(row(None, self.bubble, spacing=0))
        self._box.addWidget(self._tools)

    @property
    def editor(self) -> _Editor:
        """Where the question is edited; there from the first time on, for it is rarely needed."""
        if self._editor is None:
            self._editor = _Editor()
            self._editor.taken.connect(self._take)
            self._editor.left.connect(self._leave)
            self._box.insertWidget(1, self._editor)
        return self._editor

    def edit(self) -> None:
        """Let the question be edited where it stands."""
        self.bubble.hide()
        self._tools.hide()
        self.editor.begin(self.text)

    def set_busy(self, busy: bool) -> None:
        """While something is being answered nothing else can be asked."""
        for tool in (self.pencil, self.refresh):
            tool.setEnabled(not busy)

    def _take(self, text: str) -> None:
        self._leave()
        if text != self.text:
            self.edited.emit(text)

    def _leave(self) -> None:
        self.editor.hide()
        self.bubble.show()
        self._tools.show()
        self.pencil.setFocus()


class _Bubble(QFrame):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.setProperty("card", "strip")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        words = label(_breakable(text), "", wrap=True, selectable=True)
        words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        widest = max(
            (words.fontMetrics().horizontalAdvance(t) for t in text.splitlines()), default=0
        )
        words.setMinimumWidth(min(widest + 4, _WIDEST))
        box = QHBoxLayout(self)
        box.setContentsMargins(14, 10, 14, 10)
        box.addWidget(words)
        self.setAccessibleName(f"You: {text}")


def _breakable(text: str) -> str:
    """The text with places to break inside words that are longer than any line."""
    return _LONG.sub(lambda word: "\N{ZERO WIDTH SPACE}".join(_pieces(word[0])), text)


def _pieces(word: str) -> list[str]:
    return [word[begin : begin + _PIECE] for begin in range(0, len(word), _PIECE)]


class _Editor(Editing):
    def __init__(self) -> None:
        entry = Entry(
            "The question", "Enter asks it, Escape leaves it as it was", with_control=False, least=1
        )
        super().__init__(entry, Button("Ask", "primary", "send", "Enter"))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        box.addWidget(self.edit)
        said = label("The conversation as it is stays, as a branch.", "mute")
        box.addLayout(row(said, None, self.cancel, self.take, spacing=8))
