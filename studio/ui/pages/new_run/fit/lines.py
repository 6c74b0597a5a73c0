"""Lines of the panel: a part that opens, and a fact with its value. Painted, so that a new value
costs no layout."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui.icons import pixmap
from studio.ui.pages.new_run.fit.words import COLORS, words_of
from studio.ui.theme import sans, theme
from studio.ui.widgets.buttons import Pressable

LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class PartLine(Pressable):
    """One part of the bar: colour, name, size. Pressed, it opens what the part is."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part
        self.title = words_of(part).title
        self.value = ""
        self.setProperty("k", "line")
        self.setCheckable(True)
        self.setAutoDefault(False)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleDescription("Press to see what it is and how to shrink it")
        theme().changed.connect(self.update)
        self.hide()

    def say(self, value: str) -> None:
        """Show `value`; nothing hides the line."""
        if value != self.value:
            self.value = value
            self.setAccessibleName(f"{self.title}: {value}")
            self.update()
        if self.isHidden() == bool(value):
            self.setVisible(bool(value))

    def sizeHint(self) -> QSize:
        return QSize(180, 26)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        height = self.height()
        self._paint_sign(painter, QRectF(6, height / 2 - 4, 8, 8))
        painter.setFont(sans())
        painter.setPen(theme().color("text" if self.isChecked() else "sub"))
        taken = painter.fontMetrics().horizontalAdvance(self.value)
        room = self.width() - 54 - taken
        title = painter.fontMetrics().elidedText(self.title, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(22, 0, room + 2, height), LEFT, title)
        painter.drawText(QRectF(60, 0, self.width() - 82, height), RIGHT, self.value)
        sign = "chevron-down" if self.isChecked() else "chevron-right"
        picture = pixmap(sign, "mute", 12, self.devicePixelRatioF())
        painter.drawPixmap(self.width() - 18, (height - 12) // 2, picture)

    def _paint_sign(self, painter: QPainter, box: QRectF) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        if self.part in COLORS:
            painter.setBrush(theme().color(COLORS[self.part]))
            painter.drawEllipse(box)
            return
        painter.setBrush(QBrush(theme().color("line")))
        painter.drawRoundedRect(box, 2, 2)
        painter.setBrush(QBrush(theme().color("mute"), Qt.BrushStyle.BDiagPattern))
        painter.drawRoundedRect(box, 2, 2)


class FactLine(QWidget):
    """A name and a value on one line; hidden while there is no value."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title, self.value = title, ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(22)
        theme().changed.connect(self.update)
        self.hide()

    def say(self, value: str, about: str = "") -> None:
        """Show `value`, with a tooltip `about` it; nothing hides the line."""
        if value != self.value:
            self.value = value
            self.setAccessibleName(f"{self.title}: {value}")
            self.update()
        if about != self.toolTip():
            self.setToolTip(about)
        if self.isHidden() == bool(value):
            self.setVisible(bool(value))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(sans())
        painter.setPen(theme().color("sub"))
        painter.drawText(QRectF(self.rect()), LEFT, self.title)
        painter.setFont(sans(weight=QFont.Weight.DemiBold))
        painter.setPen(theme().color("text"))
        painter.drawText(QRectF(self.rect()), RIGHT, self.value)
