"""The token lens: one row as the model will see it, every token coloured by what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QWidget

from studio.core.facts import Example, TokenPiece
from studio.ui.icons import IconLabel
from studio.ui.theme import mono, theme
from studio.ui.widgets import Card, IconButton, NumberEdit, ProblemList, label, row

KINDS = {
    "trained": ("Trained", "c1"),
    "context": ("Context, not trained", "c7"),
    "cut": ("Cut off", "err"),
}
ALPHAS = (52, 92)
"""Neighbouring tokens alternate, so that each can be told from the next."""


class TokenLens(Card):
    """Pages through rows; `wanted` asks for the row at a place (from 0) that isn't there yet."""

    wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__(spacing=12)
        self._rows: dict[int, Example] = {}
        self._place, self._count = 0, 0
        self.back = IconButton("chevron-left", "Previous row")
        self.forth = IconButton("chevron-right", "Next row")
        self.back.clicked.connect(lambda: self.go(self._place - 1))
        self.forth.clicked.connect(lambda: self.go(self._place + 1))
        self.number = NumberEdit("Go to row", whole=True, minimum=1)
        self.number.setFixedWidth(84)
        self.number.returnPressed.connect(self._typed)
        self._of = label("", "mute")
        self.add(
            row(
                label("Token lens", "h2"),
                None,
                label("Row", "mute"),
                self.number,
                self._of,
                self.back,
                self.forth,
                spacing=6,
            )
        )
        self.add(self._keys())
        self.text = QTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName("The row as the model sees it")
        self.text.setMinimumHeight(190)
        self.text.document().setDefaultFont(mono(13))
        self._numbers = label("", "mute")
        self.sound = QWidget()
        self.sound.setLayout(
            row(IconLabel("check-circle", "ok", 14), label("Every check passed", "ok"), spacing=6)
        )
        self.checks = ProblemList()
        self.add(self.text, row(self._numbers, None, self.sound), self.checks)
        theme().changed.connect(self._draw)
        self.reset(0)

    @property
    def place(self) -> int:
        """The row shown, from 0."""
        return self._place

    def reset(self, count: int) -> None:
        """Forget all rows; there are `count` of them now."""
        self._rows, self._place, self._count = {}, 0, count
        self._draw()

    def renew(self) -> None:
        """Forget how rows looked, and ask for the one shown again."""
        self._rows = {}
        self.wanted.emit(self._place)

    def set_count(self, count: int) -> None:
        """There are `count` rows now."""
        self._count = count
        if self._place >= count:
            self.go(count - 1)
        self._draw()

    def show_rows(self, start: int, rows: Sequence[Example]) -> None:
        """Take rows from place `start` on."""
        self._rows |= {start + index: example for index, example in enumerate(rows)}
        self._count = max(self._count, start + len(rows))
        self._draw()

    def show_note(self, text: str) -> None:
        """Say why there is nothing to see."""
        self.text.clear()
        plain = QTextCharFormat()
        plain.setForeground(theme().color("sub"))
        QTextCursor(self.text.document()).insertText(text, plain)
        self._numbers.setText("")
        self._show_checks(None)

    def go(self, place: int) -> None:
        """Show the row at `place`, clamped to those there are."""
        self._place = max(0, min(place, self._count - 1))
        if self._place not in self._rows:
            self.wanted.emit(self._place)
        self._draw()

    def _typed(self) -> None:
        number = self.number.number()
        if number is not None:
            self.go(int(number) - 1)
            self.number.selectAll()

    def _keys(self) -> QWidget:
        keys = row(spacing=6)
        for text, token in KINDS.values():
            keys.addWidget(_Swatch(token))
            keys.addWidget(label(text, "mute"))
            keys.addSpacing(10)
        keys.addStretch(1)
        whole = QWidget()
        whole.setLayout(keys)
        return whole

    def _draw(self) -> None:
        self.back.setEnabled(self._place > 0)
        self.forth.setEnabled(self._place + 1 < self._count)
        example = self._rows.get(self._place)
        if not (self.number.hasFocus() and self.number.isModified()):
            self.number.setText(str(self._place + 1) if self._count else "")
        self._of.setText(f"of {self._count:,}" if self._count else "")
        if example is None:
            self.show_note("Reading the row" if self._count else "")
        elif example.problem:
            self.show_note(example.problem)
        else:
            self._write(example.pieces)
            self._show_checks(example)

    def _show_checks(self, example: Example | None) -> None:
        found = example.checks if example else ()
        self.sound.setVisible(example is not None and not found)
        self.checks.show_problems(found)
        self.checks.setVisible(bool(found))

    def _write(self, pieces: Sequence[TokenPiece]) -> None:
        self.text.clear()
        cursor = QTextCursor(self.text.document())
        for index, piece in enumerate(pieces):
            cursor.insertText(visible(piece), _format(piece, index))
        self.text.moveCursor(QTextCursor.MoveOperation.Start)
        count = {kind: sum(piece.kind == kind for piece in pieces) for kind in KINDS}
        said = f"{len(pieces):,} tokens, {count['trained']:,} of them trained"
        self._numbers.setText(said + (f", {count['cut']:,} cut off" if count["cut"] else ""))


def visible(piece: TokenPiece) -> str:
    """A token's text with what can't be seen made visible: line ends and tabs."""
    return piece.text.replace("\r", "␍").replace("\n", "↵\n").replace("\t", "⇥\t")


def _format(piece: TokenPiece, index: int) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setBackground(theme().color(KINDS[piece.kind][1], ALPHAS[index % 2]))
    made.setForeground(theme().color("text" if piece.kind == "trained" else "sub"))
    made.setFontStrikeOut(piece.kind == "cut")
    if piece.special:
        made.setForeground(theme().color("accent_text"))
        made.setFontWeight(700)
    special = "special, " if piece.special else ""
    made.setToolTip(f"Token {piece.id}: {special}{KINDS[piece.kind][0].lower()}")
    return made


class _Swatch(QWidget):
    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.setFixedSize(14, 14)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color: QColor = theme().color(self._token)
        painter.setPen(color)
        color.setAlpha(ALPHAS[1])
        painter.setBrush(color)
        painter.drawRoundedRect(1, 1, 12, 12, 3, 3)
