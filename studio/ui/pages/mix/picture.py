"""What each adapter contributes to the mix: its share, and where in the model."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.library.mix_strengths import ENDS, Strengths, words
from studio.ui.theme import SERIES, theme
from studio.ui.widgets import Card, StackedBar, column, label

HEIGHT = 120
FOOT = 18


class Picture(Card):
    """A bar of shares, bars by blocks of the model, and a sentence about the whole."""

    def __init__(self) -> None:
        super().__init__(spacing=12)
        self._found: Strengths | None = None
        self._names: list[str] = []
        self.bar = StackedBar("Share of each adapter", 12)
        self.shares = label("", "sub", wrap=True)
        self.blocks = Blocks()
        self.verdict = label("", "sub", wrap=True)
        self.waiting = label("Reading the adapters", "mute")
        self._drawn = QWidget()
        self._drawn.setLayout(
            column(self.bar, self.shares, 4, self.blocks, self.verdict, spacing=8)
        )
        self.add(label("What each contributes", "h2"), self.waiting, self._drawn)
        self._drawn.hide()

    def show_strengths(self, found: Strengths | None, names: Sequence[str]) -> None:
        """What was read of these adapters; None while nothing is known."""
        self._found, self._names = found, list(names)
        self._drawn.setVisible(found is not None)
        self.waiting.setVisible(found is None and bool(names))
        if found is not None:
            self.verdict.setText(words(found, self._names))
            self.verdict.setVisible(len(names) > 1)

    def show_weights(self, weights: Sequence[float]) -> None:
        """Draw it for these weights; no adapter is read again."""
        found = self._found
        if found is None or len(weights) != len(found.whole):
            return
        known = [0.0 if weight != weight else weight for weight in weights]
        shares = found.shares(known)
        self.bar.set_parts([(share, token_of(at)) for at, share in enumerate(shares)])
        told = [
            f"{name} {share:.0%}{' (taken away)' if weight < 0 else ''}"
            for name, share, weight in zip(self._names, shares, known, strict=True)
        ]
        self.shares.setText(",  ".join(told))
        self.bar.setAccessibleDescription(self.shares.text())
        self.blocks.show_parts(
            found.blocks,
            [
                [abs(weight) * length for length in lengths]
                for weight, lengths in zip(known, found.by_block, strict=True)
            ],
        )


class Blocks(QWidget):
    """A stacked bar for each block of layers: how much each adapter changes there."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("How much each adapter changes, by layers from first to last")
        self._blocks: tuple[str, ...] = ()
        self._parts: list[list[float]] = []
        theme().changed.connect(self.update)

    def show_parts(self, blocks: tuple[str, ...], parts: list[list[float]]) -> None:
        """`parts` has a row for each adapter, a length for each block."""
        self._blocks, self._parts = blocks, parts
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = float(self.height() - FOOT)
        painter.setPen(theme().color("line"))
        painter.drawLine(0, int(room), self.width(), int(room))
        count = len(self._blocks)
        if not count:
            return
        tallest = max(sum(row[at] for row in self._parts) for at in range(count)) or 1.0
        step = self.width() / count
        width = min(28.0, max(1.0, step * 0.7))
        for at in range(count):
            bottom, left = room, at * step + (step - width) / 2
            for number, row in enumerate(self._parts):
                height = row[at] / tallest * (room - 4)
                painter.fillRect(
                    QRectF(left, bottom - height, width, height), theme().color(token_of(number))
                )
                bottom -= height
        self._name_blocks(painter, step, room)

    def _name_blocks(self, painter: QPainter, step: float, room: float) -> None:
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(theme().color("mute"))
        every = max(1, round(34 / step))
        for at, name in enumerate(self._blocks):
            if at % every == 0 or name == ENDS:
                place = QRectF(at * step - 20 + step / 2, room + 3, 40, FOOT - 3)
                told = name if name == ENDS else str(int(name) + 1)
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, told)


def token_of(at: int) -> str:
    """The colour of an adapter by its place in the mix."""
    return SERIES[at % len(SERIES)]
