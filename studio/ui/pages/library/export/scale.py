"""A painted scale: where the export lies, up to where it passes, and what it is held against."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui.theme import sans, theme

_TOP, _TRACK, _HEIGHT, _SIDE = 24, 8, 56, 7


@dataclass(frozen=True)
class Mark:
    """A name at a place of the scale, from 0 (left) to 1."""

    name: str
    place: float
    value: str


class Scale(QWidget):
    """A track with its passing part tinted, a dot for the export, marks to hold it against.

    Marks are named below the track, the export's value above it.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._dot: Mark | None = None
        self._passes = (0.0, 1.0)
        self._marks: list[Mark] = []
        self._passed = True
        self.setFixedHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def show_measure(
        self, dot: Mark, passes: tuple[float, float], passed: bool, marks: list[Mark]
    ) -> None:
        """Show the export's place, the part of the track that passes, and the other marks."""
        self._dot, self._passes, self._passed, self._marks = dot, passes, passed, marks
        self.setAccessibleName(self._name)
        others = ", ".join(f"{mark.name} {mark.value}" for mark in marks)
        word = "passed" if passed else "failed"
        self.setAccessibleDescription(f"{dot.name} {dot.value}, {word}; {others}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._dot is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._track(painter)
        self._marks_below(painter)
        self._the_dot(painter, self._dot)

    def _x(self, place: float) -> float:
        return _SIDE + min(1.0, max(0.0, place)) * (self.width() - 2 * _SIDE)

    def _track(self, painter: QPainter) -> None:
        whole = QRectF(_SIDE, _TOP, self.width() - 2 * _SIDE, _TRACK)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("line"))
        painter.drawRoundedRect(whole, _TRACK / 2, _TRACK / 2)
        first, last = (self._x(place) for place in self._passes)
        painter.setBrush(theme().color("ok_bg"))
        painter.setPen(QPen(theme().color("ok"), 1))
        painter.drawRoundedRect(
            QRectF(first, _TOP, max(2.0, last - first), _TRACK), _TRACK / 2, _TRACK / 2
        )

    def _marks_below(self, painter: QPainter) -> None:
        """The marks from right to left; a name that would run into the next gives way."""
        painter.setFont(sans(11))
        room = float(self.width())
        for mark in sorted(self._marks, key=lambda mark: -mark.place):
            x = self._x(mark.place)
            painter.setPen(QPen(theme().color("sub"), 2))
            painter.drawLine(QPointF(x, _TOP - 3), QPointF(x, _TOP + _TRACK + 3))
            text = f"{mark.name} {mark.value}"
            box = self._box(text, x, _TOP + _TRACK + 6, sans(11))
            box.moveRight(min(box.right(), room))
            room = box.left() - 4
            painter.setPen(theme().color("mute"))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _the_dot(self, painter: QPainter, dot: Mark) -> None:
        x, token = self._x(dot.place), "ok" if self._passed else "err"
        painter.setPen(QPen(theme().color("card"), 2))
        painter.setBrush(theme().color(token))
        painter.drawEllipse(QPointF(x, _TOP + _TRACK / 2), 7, 7)
        font = sans(12, QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(theme().color(token))
        box = self._box(dot.value, x, 0, font)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, dot.value)

    def _box(self, text: str, x: float, top: float, font: QFont) -> QRectF:
        """Room for a text centred at x, kept inside."""
        width = QFontMetricsF(font).horizontalAdvance(text) + 8
        left = min(max(0.0, x - width / 2), max(0.0, self.width() - width))
        return QRectF(left, top, width, 17)
