"""How long the rows are, in tokens, with the longest row as a line to drag."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui.theme import sans, theme

STEP, LEAP = 8, 64
"""Tokens that an arrow key moves the line, and Page Up and Page Down."""
_FOOT, _HEAD, _SIDE = 18, 22, 8
_MOVES = {
    Qt.Key.Key_Left: -STEP,
    Qt.Key.Key_Down: -STEP,
    Qt.Key.Key_Right: STEP,
    Qt.Key.Key_Up: STEP,
    Qt.Key.Key_PageDown: -LEAP,
    Qt.Key.Key_PageUp: LEAP,
}


class Histogram(QWidget):
    """Bars by length; what lies beyond the line is tinted as cut off."""

    moved = Signal(int)
    """Tokens at which rows are cut, while the line moves."""
    settled = Signal(int)
    """The same once the line was let go."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(140)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Rows by length; arrow keys move the longest row")
        self._counts: tuple[int, ...] = ()
        self._width, self.limit, self._extent = 1, 0, 1
        self._dragging = False
        theme().changed.connect(self.update)

    def show_counts(self, counts: Sequence[int], bin_tokens: int, limit: int) -> None:
        """Rows in bins of `bin_tokens` tokens; `limit` is where rows are cut off."""
        self._counts, self._width = tuple(counts), max(1, bin_tokens)
        if not self._dragging:
            longest = len(self._counts) * self._width
            self._extent = max(longest, min(round(limit * 1.1), 2 * longest))
            self.set_limit(limit)

    def set_limit(self, limit: int) -> None:
        """Move the line without a signal."""
        self.limit = limit
        self.setAccessibleDescription(f"Rows are cut at {limit:,} tokens")
        self.update()

    def position(self, tokens: int) -> float:
        """Where a length is, in pixels from the left."""
        wide = self.width() - 2 * _SIDE
        return _SIDE + wide * min(tokens, self._extent) / self._extent

    # moving the line

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._counts:
            self._dragging = True
            self._drag(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        near = abs(event.position().x() - self.position(self.limit)) < 8
        shape = Qt.CursorShape.SizeHorCursor if near or self._dragging else None
        self.setCursor(shape) if shape else self.unsetCursor()
        if self._dragging:
            self._drag(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self._dragging = False
            self.settled.emit(self.limit)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = _MOVES.get(Qt.Key(event.key()))
        if by is None or not self._counts:
            super().keyPressEvent(event)
            return
        self._move(
            (self.limit + by) // STEP * STEP if by > 0 else -(-(self.limit + by) // STEP) * STEP
        )
        self.settled.emit(self.limit)

    def _drag(self, x: float) -> None:
        wide = max(1, self.width() - 2 * _SIDE)
        share = min(1.0, max(0.0, (x - _SIDE) / wide))
        self._move(round(share * self._extent / STEP) * STEP)

    def _move(self, tokens: int) -> None:
        limit = max(STEP, tokens)
        if limit != self.limit:
            self.set_limit(limit)
            self.moved.emit(limit)

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._counts:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(_SIDE, _HEAD, self.width() - 2 * _SIDE, self.height() - _FOOT - _HEAD)
        top = max(self._counts)
        painter.setPen(Qt.PenStyle.NoPen)
        for index, count in enumerate(self._counts):
            left, right = (
                self.position(index * self._width),
                self.position((index + 1) * self._width),
            )
            height = max(2.0, room.height() * count / top) if count else 0.0
            painter.setBrush(theme().color("err" if self._beyond(index) else "c1"))
            bar = QRectF(left, room.bottom() - height, max(1.0, right - left - 2), height)
            painter.drawRoundedRect(bar, 2, 2)
        self._paint_foot(painter, room)
        self._paint_line(painter, room)

    def _beyond(self, index: int) -> bool:
        return 0 < self.limit <= index * self._width

    def _paint_foot(self, painter: QPainter, room: QRectF) -> None:
        painter.fillRect(QRectF(room.left(), room.bottom(), room.width(), 1), theme().color("line"))
        painter.setPen(theme().color("mute"))
        painter.setFont(sans(11))
        foot = QRectF(room.left(), room.bottom() + 2, room.width(), _FOOT)
        painter.drawText(foot, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(foot, Qt.AlignmentFlag.AlignRight, f"{self._extent:,} tokens")

    def _paint_line(self, painter: QPainter, room: QRectF) -> None:
        x = self.position(self.limit)
        painter.setPen(QPen(theme().color("text"), 2 if self.hasFocus() else 1.5))
        painter.drawLine(QPointF(x, _HEAD - 4), QPointF(x, room.bottom()))
        painter.setBrush(theme().color("accent"))
        painter.setPen(QPen(theme().color("text" if self.hasFocus() else "card"), 2))
        painter.drawEllipse(QPointF(x, _HEAD - 4), 6, 6)
        beyond = "+" if self.limit > self._extent else ""
        words = f"{self.limit:,}{beyond} tokens"
        painter.setFont(sans(11))
        wide = painter.fontMetrics().horizontalAdvance(words) + 2
        left = x + 11 if x + 11 + wide < self.width() else x - 11 - wide
        painter.setPen(theme().color("text"))
        painter.drawText(QRectF(left, 0, wide, _HEAD), Qt.AlignmentFlag.AlignVCenter, words)
