"""The worst examples: the live answer, with every token at which the export would say another."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit

from studio.core.passport import Example, Token
from studio.ui.theme import mono, theme
from studio.ui.widgets import Card, IconButton, label, row

HEIGHT = 168


class ExamplesView(Card):
    """Pages through examples, the worst first. They lie in the library and are in no export."""

    def __init__(self, examples: Sequence[Example]) -> None:
        super().__init__(margin=16, spacing=8)
        self._examples = list(examples)
        self._place = 0
        self.back = IconButton("chevron-left", "Previous example")
        self.forth = IconButton("chevron-right", "Next example")
        self.back.clicked.connect(lambda: self._go(self._place - 1))
        self.forth.clicked.connect(lambda: self._go(self._place + 1))
        self._of = label("", "mute")
        title = label("Where it differs most", "b")
        self.add(row(title, None, self._of, self.back, self.forth, spacing=6))
        self.text = QTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("A live answer, and what the export would say instead")
        self.text.setFixedHeight(HEIGHT)
        self.text.document().setDefaultFont(mono(12))
        self.add(self.text, label("These texts stay on this machine.", "mute"))
        theme().changed.connect(self._draw)
        self._draw()

    def _go(self, place: int) -> None:
        self._place = max(0, min(place, len(self._examples) - 1))
        self._draw()

    def _draw(self) -> None:
        example = self._examples[self._place]
        self._of.setText(f"{self._place + 1} of {len(self._examples)}, {example.kl:.2g} nats")
        self.back.setEnabled(self._place > 0)
        self.forth.setEnabled(self._place + 1 < len(self._examples))
        self.text.clear()
        cursor = QTextCursor(self.text.document())
        cursor.insertText(example.prompt.strip() + "\n\n", _form("sub"))
        for token in example.live:
            _write(cursor, token)
        differing = sum(bool(token.instead) for token in example.live)
        if not differing:
            cursor.insertText("\n\nEvery token is the likeliest in both.", _form("mute"))
        elif example.exported:
            cursor.insertText("\n\nThe export answers:\n", _form("sub"))
            cursor.insertText(example.exported, _form("text"))
        self.text.moveCursor(QTextCursor.MoveOperation.Start)


def _write(cursor: QTextCursor, token: Token) -> None:
    """A token, and behind one that differs what the export would say."""
    if not token.instead:
        cursor.insertText(token.text, _form("text"))
        return
    cursor.insertText(token.text, _form("ok", "ok_bg"))
    cursor.insertText(token.instead.strip() or "␣", _form("err", "err_bg"))


def _form(colour: str, background: str = "") -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(theme().color(colour))
    made.setBackground(theme().color(background) if background else QColor(0, 0, 0, 0))
    return made
