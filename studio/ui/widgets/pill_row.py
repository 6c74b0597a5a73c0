"""Several pills in a row, painted: renewing them costs no layout, so hundreds can be at once."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui.theme import sans, theme

HEIGHT, PAD, GAP = 20, 9, 6
_TONES = {
    "ok": ("ok_bg", "ok"),
    "warn": ("warn_bg", "warn"),
    "err": ("err_bg", "err"),
    "accent": ("accent", "on"),
    "soft": ("accent_bg", "accent_text"),
    "plain": ("raised", "sub"),
}
"""Background and text of each tone, as the stylesheet has them for a single Pill."""


class PillRow(QWidget):
    """Pills of (text, tone). Where there isn't room for all, each says its first word alone."""

    def __init__(self, grows: bool) -> None:
        """`grows` takes all the width there is; else the row is as wide as its pills."""
        super().__init__()
        across = QSizePolicy.Policy.Expanding if grows else QSizePolicy.Policy.Fixed
        self.setSizePolicy(across, QSizePolicy.Policy.Fixed)
        self._grows = grows
        self._pills: list[tuple[str, str]] = []
        self.setFixedHeight(HEIGHT)
        theme().changed.connect(self.update)

    def pills(self) -> list[tuple[str, str]]:
        return list(self._pills)

    def set_pills(self, pills: Sequence[tuple[str, str]]) -> None:
        """Replace the pills."""
        self._pills = list(pills)
        if self._grows:
            self.update()
        else:
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(0 if self._grows else self._wide(self._pills), HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def shown(self) -> list[tuple[str, str]]:
        """The pills as they are drawn in the present width."""
        if self._wide(self._pills) <= self.width():
            return self.pills()
        return [(text.split()[0], tone) for text, tone in self._pills]

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = 0.0
        for text, tone in self.shown():
            font = _font(tone)
            wide = QFontMetrics(font).horizontalAdvance(text) + 2 * PAD
            ground, ink = _TONES[tone]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().color(ground))
            box = QRectF(left, 0, wide, HEIGHT)
            painter.drawRoundedRect(box, HEIGHT / 2, HEIGHT / 2)
            painter.setFont(font)
            painter.setPen(theme().color(ink))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
            left += wide + GAP

    def _wide(self, pills: Sequence[tuple[str, str]]) -> int:
        widths = [
            QFontMetrics(_font(tone)).horizontalAdvance(text) + 2 * PAD for text, tone in pills
        ]
        return sum(widths) + GAP * max(0, len(widths) - 1)


def _font(tone: str) -> QFont:
    weight = QFont.Weight.Medium if tone == "plain" else QFont.Weight.DemiBold
    return sans(12, weight)
