"""How long the rows are, in tokens."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui.theme import sans, theme

_FOOT = 18


class Histogram(QWidget):
    """Bars by length; those beyond the limit are tinted as cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(96)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Rows by length")
        self._counts: tuple[int, ...] = ()
        self._width, self._limit = 1, 0
        theme().changed.connect(self.update)

    def show_counts(self, counts: Sequence[int], bin_tokens: int, limit: int) -> None:
        """Rows in bins of `bin_tokens` tokens; `limit` is where rows are cut off."""
        self._counts, self._width, self._limit = tuple(counts), max(1, bin_tokens), limit
        longest = len(self._counts) * self._width
        self.setAccessibleDescription(f"Up to {longest} tokens; cut off at {limit}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._counts:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(0, 2, self.width(), self.height() - _FOOT - 2)
        step = room.width() / len(self._counts)
        top = max(self._counts)
        painter.setPen(Qt.PenStyle.NoPen)
        for index, count in enumerate(self._counts):
            height = max(2.0, room.height() * count / top) if count else 0.0
            painter.setBrush(theme().color("err" if self._beyond(index) else "c1"))
            bar = QRectF(index * step, room.bottom() - height, max(1.0, step - 2), height)
            painter.drawRoundedRect(bar, 2, 2)
        self._paint_foot(painter, room)

    def _beyond(self, index: int) -> bool:
        return 0 < self._limit <= index * self._width

    def _paint_foot(self, painter: QPainter, room: QRectF) -> None:
        painter.fillRect(QRectF(0, room.bottom(), room.width(), 1), theme().color("line"))
        painter.setPen(theme().color("mute"))
        painter.setFont(sans(11))
        foot = QRectF(0, room.bottom() + 2, room.width(), _FOOT)
        painter.drawText(foot, Qt.AlignmentFlag.AlignLeft, "0")
        longest = f"{len(self._counts) * self._width:,} tokens"
        painter.drawText(foot, Qt.AlignmentFlag.AlignRight, longest)
