"""Thin upright lines in a plot where something happened, and what happened there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyqtgraph as pg
from PySide6.QtCore import Qt

from studio.ui.theme import theme

NEAR_PIXELS = 6


class Mark(Protocol):
    """What happened at x; `token` is the line's colour."""

    @property
    def x(self) -> float: ...
    @property
    def text(self) -> str: ...
    @property
    def token(self) -> str: ...


class Marks:
    """The marks of one plot."""

    def __init__(self, plot: pg.PlotItem) -> None:
        self._plot = plot
        self._shown: list[tuple[Mark, pg.InfiniteLine]] = []

    def show(self, marks: Sequence[Mark]) -> bool:
        """Draw these and no others; whether anything changed."""
        if [mark for mark, _ in self._shown] == list(marks):
            return False
        for _, line in self._shown:
            self._plot.removeItem(line)
        self._shown = [(mark, pg.InfiniteLine(pos=mark.x, angle=90)) for mark in marks]
        for _, line in self._shown:
            self._plot.addItem(line, ignoreBounds=True)
        self.paint()
        return True

    def paint(self) -> None:
        """In the theme's colours of now."""
        for mark, line in self._shown:
            line.setPen(theme().color(mark.token), width=1, style=Qt.PenStyle.DashLine)

    def near(self, x: float | None) -> str:
        """What happened within a few pixels of x, or "" where nothing did."""
        if x is None:
            return ""
        reach = NEAR_PIXELS * float(self._plot.vb.viewPixelSize()[0])
        close = [mark for mark, _ in self._shown if abs(mark.x - x) <= reach]
        return "; ".join(mark.text for mark in close)

    def summary(self) -> str:
        """All of them, for a screen reader."""
        return ", ".join(f"{mark.text} (at {mark.x:g})" for mark, _ in self._shown)
