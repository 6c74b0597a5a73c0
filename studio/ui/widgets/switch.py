"""On/off controls, painted in the theme's colours."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton

from studio.ui.theme import theme


class Switch(QAbstractButton):
    """A two-state switch; Space toggles it."""

    def __init__(self, name: str, on: bool = False) -> None:
        super().__init__()
        self.setCheckable(True)
        self.setChecked(on)
        self.setAccessibleName(name)
        self.setFixedSize(self.sizeHint())
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(42, 26)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.5)
        track = QRectF(3, 3, 36, 20)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("accent" if self.isChecked() else "line2"))
        painter.drawRoundedRect(track, 10, 10)
        painter.setBrush(theme().color("on"))
        painter.drawEllipse(QPointF(29 if self.isChecked() else 13, 13), 7, 7)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme().color("text"), 1.5))
            painter.drawRoundedRect(QRectF(1, 1, 40, 24), 12, 12)
