"""A plot of growing series: redrawn on a timer, never per point, and only while visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QLabel, QWidget

from studio.ui.tables.series import Floats, Series, highest, nearest, outline, sampled
from studio.ui.theme import theme
from studio.ui.widgets.cards import Card
from studio.ui.widgets.layout import row
from studio.ui.widgets.plot_marks import Mark, Marks
from studio.ui.widgets.plot_parts import Axis, Format, ReadOut, Swatch
from studio.ui.widgets.text import label

FRAME_MILLISECONDS = 33
BUCKETS, BOLD_BUCKETS = 900, 300


@dataclass
class Curve:
    """One series and how it is drawn.

    `faint` is the raw line under a smoothed one. A `bold` line is reduced to few points:
    Qt strokes wide antialiased lines of many points slowly (45 ms at some thousands).
    """

    series: Series
    name: str
    token: str
    faint: bool = False
    bold: bool = False
    dots: bool = False
    area: bool = False
    show: Format = "{:.3f}".format
    item: Any = field(default=None, repr=False)


class Plot(pg.PlotWidget):  # type: ignore[misc]
    """Call `refresh` after the series grew; it costs nothing until the next frame.

    Without `y_show` the numbers of the y axis have as many decimals as they need.
    """

    _empty: QLabel | None = None

    def __init__(
        self, name: str, x_name: str, x_show: Format, y_show: Format | None = None
    ) -> None:
        super().__init__(
            axisItems={
                side: Axis(side, show) for side, show in (("bottom", x_show), ("left", y_show))
            }
        )
        self.setAccessibleName(name)
        self._x_name, self._x_show = x_name, x_show
        self._curves: list[Curve] = []
        self._limit: float | None = None
        self._log = False
        self._x_end = 0.0
        self._dirty = True
        self._frame = QTimer(self)
        self._frame.setInterval(FRAME_MILLISECONDS)
        self._frame.setSingleShot(True)
        self._frame.timeout.connect(self._draw)
        self._read_out = ReadOut(self)
        self._marks = Marks(self.plotItem)
        self._empty = label("No points yet", "mute")
        self._empty.setParent(self)
        self._empty.hide()
        self._empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._set_up()
        theme().changed.connect(self._paint_theme)
        self._paint_theme()

    def add(self, curve: Curve) -> None:
        """Draw one more series."""
        curve.item = pg.PlotDataItem(antialias=True, skipFiniteCheck=False, connect="finite")
        self.plotItem.addItem(curve.item)
        self._curves.append(curve)
        self._paint_theme()

    @property
    def x_name(self) -> str:
        """What x counts, as "step"."""
        return self._x_name

    def set_series(self, *series: Series) -> None:
        """Draw other series in the curves' order, as another run does."""
        for curve, each in zip(self._curves, series, strict=True):
            curve.series = each
        self._point_at(None)
        self.refresh()

    def set_limit(self, value: float | None) -> None:
        """A dashed line across, as for the memory of a card; it is always in view."""
        self._limit = value
        self.refresh()

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Upright lines where something happened; the crosshair says what."""
        if self._marks.show(marks):
            self.refresh()

    def set_x_end(self, value: float) -> None:
        """Where x ends at least, as the last step to come."""
        self._x_end = value
        self.refresh()

    def set_log(self, on: bool) -> None:
        """A logarithmic y axis; what isn't above zero is left out."""
        self._log = on
        self.plotItem.getAxis("left").logarithmic = on
        self.refresh()

    def refresh(self) -> None:
        """Something changed: draw with the next frame, or when next visible."""
        self._dirty = True
        if self.isVisible() and not self._frame.isActive():
            self._frame.start()

    def summary(self) -> str:
        """The last value of every curve and all marks, for a screen reader."""
        said = [
            f"{curve.name} {curve.show(last)}"
            for curve in self._curves
            if curve.name and (last := curve.series.last()) is not None
        ]
        return ", ".join([*said, self._marks.summary()]).strip(", ") or "no points yet"

    def showEvent(self, event: QEvent) -> None:
        super().showEvent(event)
        if self._dirty:
            self._frame.start()

    def hideEvent(self, event: QEvent) -> None:
        self._frame.stop()
        super().hideEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the page scrolls

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._empty is not None:  # the base class resizes itself while it is made
            self._empty.adjustSize()
            self._empty.move(self.rect().center() - self._empty.rect().center())

    def leaveEvent(self, event: QEvent) -> None:
        self._point_at(None)
        super().leaveEvent(event)

    def _set_up(self) -> None:
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setFrameShape(self.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.plotItem.setContentsMargins(0, 6, 16, 0)
        self.plotItem.disableAutoRange()
        self._dashes = pg.InfiniteLine(angle=0, movable=False)
        self._hair = pg.InfiniteLine(angle=90, movable=False)
        for line in (self._dashes, self._hair):
            line.hide()
            self.plotItem.addItem(line, ignoreBounds=True)
        self.scene().sigMouseMoved.connect(self._moved)

    def _paint_theme(self) -> None:
        colors = theme()
        self.setBackground(colors.color("card"))
        for side in ("bottom", "left"):
            axis = self.plotItem.getAxis(side)
            axis.setPen(colors.color("line2") if side == "bottom" else pg.mkPen(None))
            axis.setTextPen(colors.color("mute"))
            axis.setTickPen(colors.color("line2"))
        self._dashes.setPen(colors.color("err"), width=1, style=Qt.PenStyle.DashLine)
        self._hair.setPen(colors.color("line2"), width=1)
        for curve in self._curves:
            _paint(curve, self.devicePixelRatioF())
        self._marks.paint()
        self.refresh()

    def _draw(self) -> None:
        self._dirty = False
        for curve in self._curves:
            curve.item.setData(*self._points(curve))
        self._dashes.setVisible(self._limit is not None)
        if self._limit is not None:
            self._dashes.setValue(float(self._scaled(np.array([self._limit]))[0]))
        self._show_emptiness()
        self._fit()
        self.setAccessibleDescription(self.summary())

    def _points(self, curve: Curve) -> tuple[Floats, Floats]:
        few = highest if curve.area else sampled if curve.bold else outline
        x, y = few(curve.series.x, curve.series.y, BOLD_BUCKETS if curve.bold else BUCKETS)
        return x, self._scaled(y)

    def _scaled(self, y: Floats) -> Floats:
        if not self._log:
            return y
        logs: Floats = np.log10(np.where(y > 0, y, np.nan))
        return logs

    def _show_emptiness(self) -> None:
        """Axes without a point would show numbers that nobody measured."""
        empty = not any(len(curve.series) for curve in self._curves)
        for side in ("bottom", "left"):
            axis = self.plotItem.getAxis(side)
            axis.setStyle(showValues=not empty)
            axis.setGrid(150 if side == "left" and not empty else False)
        if self._empty is not None:
            self._empty.setVisible(empty)

    def _fit(self) -> None:
        """Show everything there is, with some air."""
        ends = [curve.series.x[-1] for curve in self._curves if len(curve.series)]
        right = max([self._x_end, *ends, 1e-9])
        shown = [self._scaled(curve.series.y) for curve in self._curves if len(curve.series)]
        values = np.concatenate([each[np.isfinite(each)] for each in shown] or [np.zeros(0)])
        low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        if self._limit is not None:
            high = max(high, float(self._scaled(np.array([self._limit]))[0]))
        if any(curve.area for curve in self._curves):
            low = min(0.0, low)
        air = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        bottom = low if low == 0 and not self._log else low - air
        self.plotItem.vb.setRange(
            xRange=(0.0, 1.01 * right),
            yRange=(bottom, high + air),
            padding=0,
            disableAutoRange=True,
        )

    def _moved(self, place: Any) -> None:
        if self.plotItem.vb.sceneBoundingRect().contains(place):
            self._point_at(float(self.plotItem.vb.mapSceneToView(place).x()))
        else:
            self._point_at(None)

    def _point_at(self, x: float | None) -> None:
        """Read the curves out at x; None reads nothing."""
        known = [(curve, nearest(curve.series, x)) for curve in self._curves if x is not None]
        points = [(curve, at) for curve, at in known if at is not None]
        self._hair.setVisible(bool(points))
        if not points:
            self._read_out.hide()
            return
        snapped = min((at[0] for _, at in points), key=lambda each: abs(each - (x or 0.0)))
        self._hair.setValue(snapped)
        values = [f"{curve.name} {curve.show(at[1])}" for curve, at in points if not curve.faint]
        happened = self._marks.near(x)
        said = [happened] if happened else [f"{self._x_name} {self._x_show(snapped)}", *values]
        self._read_out.say("   ".join(said))


class PlotCard(Card):
    """A plot under its title, with what each colour means."""

    def __init__(self, title: str, plot: Plot, *beside: QWidget, height: int = 250) -> None:
        super().__init__(margin=16, spacing=8)
        self.plot = plot
        self.title = label(title, "h2")
        self._legend = row(spacing=14)
        head = QWidget()
        head.setFixedHeight(36)
        across = label(f"by {plot.x_name}", "mute")
        head.setLayout(row(self.title, across, None, self._legend, *beside, spacing=12))
        self.add(head, plot)
        plot.setFixedHeight(height)

    def add_curve(self, curve: Curve) -> None:
        """Draw one more series and name it, unless it is the faint one of a pair."""
        self.plot.add(curve)
        if not curve.faint:
            self._legend.addLayout(row(Swatch(curve.token), label(curve.name, "mute"), spacing=6))


def _paint(curve: Curve, ratio: float) -> None:
    """Colour a curve; pyqtgraph counts the width of a pen in the screen's own pixels."""
    color = theme().color(curve.token, 85 if curve.faint else 255)
    curve.item.setPen(pg.mkPen(color, width=ratio * (2 if curve.bold else 1)))
    if curve.area:
        curve.item.setFillLevel(0.0)
        curve.item.setBrush(pg.mkBrush(theme().color(curve.token, 40)))
    if curve.dots:
        curve.item.setSymbol("o")
        curve.item.setSymbolSize(6)
        curve.item.setSymbolPen(pg.mkPen(theme().color("card"), width=1))
        curve.item.setSymbolBrush(pg.mkBrush(color))
