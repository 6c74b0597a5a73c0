"""Painted bars: one that shows progress, one made of parts."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui.theme import theme

_GAP = 1.5


class StackedBar(QWidget):
    """Parts of a whole side by side, each (share of the width 0..1, colour token)."""

    def __init__(self, name: str, height: int = 10) -> None:
        super().__init__()
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(name)
        self._parts: list[tuple[float, str]] = []
        self._mark: float | None = None
        theme().changed.connect(self.update)

    def set_parts(self, parts: Sequence[tuple[float, str]], mark: float | None = None) -> None:
        """Show `parts`; `mark` draws a hair line at that share (the card's limit)."""
        self._parts, self._mark = list(parts), mark
        self.update()

    def parts(self) -> list[tuple[float, str]]:
        return list(self._parts)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, height = float(self.width()), float(self.height())
        clip = QPainterPath()
        clip.addRoundedRect(QRectF(self.rect()), height / 2, height / 2)
        painter.setClipPath(clip)
        painter.fillRect(self.rect(), theme().color("line"))
        left = 0.0
        for share, token in self._parts:
            part = share * width
            gap = _GAP if part > 2 * _GAP else 0.0
            painter.fillRect(QRectF(left, 0, max(0.0, part - gap), height), theme().color(token))
            left += part
        if self._mark is not None:
            painter.fillRect(QRectF(self._mark * width - 1, 0, 2, height), theme().color("text"))


class ProgressBar(QWidget):
    """How much of a job is done, 0..1, or a moving stripe while nobody knows (None)."""

    def __init__(self, name: str, height: int = 8, token: str = "accent") -> None:
        super().__init__()
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._name, self._token = name, token
        self._value: float | None = 0.0
        self._phase = 0.0
        self._timer = 0
        self.setAccessibleName(name)
        theme().changed.connect(self.update)

    def value(self) -> float | None:
        return self._value

    def set_value(self, value: float | None, token: str | None = None) -> None:
        """Show `value` (clamped to 0..1); None means busy without a known end."""
        self._value = None if value is None else min(1.0, max(0.0, value))
        self._token = token or self._token
        known = "in progress" if self._value is None else f"{self._value:.0%}"
        self.setAccessibleDescription(known)
        self._animate()
        self.update()

    def _animate(self) -> None:
        moving = self._value is None and self.isVisible()
        if moving and not self._timer:
            self._timer = self.startTimer(33)
        elif not moving and self._timer:
            self.killTimer(self._timer)
            self._timer = 0

    def showEvent(self, event: object) -> None:
        self._animate()

    def hideEvent(self, event: object) -> None:
        self._animate()

    def timerEvent(self, event: object) -> None:
        self._phase = (self._phase + 0.02) % 1.4
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, height = float(self.width()), float(self.height())
        clip = QPainterPath()
        clip.addRoundedRect(QRectF(self.rect()), height / 2, height / 2)
        painter.setClipPath(clip)
        painter.fillRect(self.rect(), theme().color("line"))
        color = theme().color(self._token)
        if self._value is None:
            painter.fillRect(QRectF((self._phase - 0.4) * width, 0, 0.4 * width, height), color)
        else:
            painter.fillRect(QRectF(0, 0, self._value * width, height), color)
