"""Examples: rendered prompts, and the live answers with what the export would say instead."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit

from studio.core.passport import Example, Token
from studio.ui.theme import mono, theme
from studio.ui.widgets import Card, IconButton, label, row

HEIGHT = 188
_TOKENS = (
    "Green is what the live model says, red behind it what the export would say there. "
    "These texts stay on this machine."
)
_PROMPT = "Green stands only in the live prompt, red only in the export's."


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
        self._title, self._of = label("", "b"), label("", "mute")
        self._legend = label("", "mute", wrap=True)
        self.add(row(self._title, None, self._of, self.back, self.forth, spacing=6))
        self.text = QTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("A live answer, and what the export would say instead")
        self.text.setFixedHeight(HEIGHT)
        self.text.document().setDefaultFont(mono(12))
        self.add(self.text, self._legend)
        theme().changed.connect(self._draw)
        self._draw()

    def _go(self, place: int) -> None:
        self._place = max(0, min(place, len(self._examples) - 1))
        self._draw()

    def _draw(self) -> None:
        example = self._examples[self._place]
        rendered = example.note == "prompt"
        self._title.setText("How the prompt differs" if rendered else "Where it differs most")
        nats = "" if rendered else f", {example.kl:.2g} nats a token"
        self._of.setText(f"{self._place + 1} of {len(self._examples)}{nats}")
        self._legend.setText(_PROMPT if rendered else _TOKENS)
        self.back.setEnabled(self._place > 0)
        self.forth.setEnabled(self._place + 1 < len(self._examples))
        self.text.clear()
        cursor = QTextCursor(self.text.document())
        (_write_prompts if rendered else _write_answer)(cursor, example)
        self.text.moveCursor(QTextCursor.MoveOperation.Start)


def _write_prompts(cursor: QTextCursor, example: Example) -> None:
    """The same conversation as both render it, coloured where they part and until they meet."""
    pair = (example.prompt, example.exported)
    first = _alike(*pair)
    last = _alike(*(text[first:][::-1] for text in pair))
    gap = "\n" if example.prompt.endswith("\n") else "\n\n"
    titles = ("Live:\n", f"{gap}Export:\n")
    for title, text, tone in zip(titles, pair, ("ok", "err"), strict=True):
        end = len(text) - last
        cursor.insertText(title, _form("mute"))
        cursor.insertText(text[:first], _form("sub"))
        cursor.insertText(text[first:end].replace("\n", "⏎\n"), _form(tone, f"{tone}_bg"))
        cursor.insertText(text[end:], _form("sub"))


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _write_answer(cursor: QTextCursor, example: Example) -> None:
    cursor.insertText(example.prompt.strip() + "\n", _form("mute"))
    for token in example.live:
        _write(cursor, token)
    if not any(token.instead for token in example.live):
        cursor.insertText("\n\nEvery token is the likeliest in both.", _form("mute"))
    elif example.exported:
        cursor.insertText("\n\nThe export answers:\n", _form("mute"))
        cursor.insertText(example.exported, _form("text"))


def _write(cursor: QTextCursor, token: Token) -> None:
    """A token, and behind one that differs what the export would say."""
    if not token.instead:
        cursor.insertText(token.text, _form("text"))
        return
    cursor.insertText(token.text, _form("ok", "ok_bg"))
    cursor.insertText(f"\N{HAIR SPACE}{token.instead.strip() or '␣'}", _form("err", "err_bg"))
    cursor.insertText("\N{HAIR SPACE}", _form("text"))


def _form(colour: str, background: str = "") -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(theme().color(colour))
    made.setBackground(theme().color(background) if background else QColor(0, 0, 0, 0))
    return made
