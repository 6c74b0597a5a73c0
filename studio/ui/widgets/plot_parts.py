"""What a plot is put together from: axes, the crosshair's numbers, a legend's swatch."""

from __future__ import annotations

import math
from collections.abc import Callable

import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QWidget

from studio.ui.theme import sans, theme

Format = Callable[[float], str]


class Axis(pg.AxisItem):  # type: ignore[misc]
    """Few quiet ticks with our own numbers and no minor grid lines."""

    def __init__(self, side: str, show: Format | None) -> None:
        super().__init__(side)
        self.logarithmic = False
        self._say = show
        self.setStyle(
            maxTickLevel=0,
            tickFont=_tick_font(),
            tickLength=0,
            tickTextOffset=8,
            hideOverlappingLabels=False,
        )
        if side == "left":
            self.setGrid(150)
            self.setWidth(44)
        else:
            self.setHeight(26)

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if self.logarithmic:
            return [f"{10**value:.3g}" for value in values]
        if self._say is not None:
            return [self._say(value) for value in values]
        decimals = max(0, -math.floor(math.log10(spacing) + 1e-9))
        return [f"{value:.{decimals}f}" for value in values]


class Swatch(QWidget):
    """A short line in a curve's colour."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.setFixedSize(12, 12)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(self._token))
        painter.drawRoundedRect(QRectF(0, 4.5, 12, 3), 1.5, 1.5)


class ReadOut(QLabel):
    """The numbers under the crosshair, in the plot's upper corner."""

    def __init__(self, plot: QWidget) -> None:
        super().__init__(plot)
        self._plot = plot
        self.setProperty("pill", "plain")
        self.setFixedHeight(20)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def say(self, text: str) -> None:
        self.setText(text)
        self.adjustSize()
        self.setFixedHeight(20)
        self.move(self._plot.width() - self.width() - 12, 8)
        self.show()


def _tick_font() -> QFont:
    return sans(11)
