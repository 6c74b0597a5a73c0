"""The wizard's step header: numbered dots, done, now or to do."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.ui.icons import pixmap
from studio.ui.theme import sans, theme
from studio.ui.widgets.buttons import Pressable
from studio.ui.widgets.cards import Separator

_DOT = 26


class StepButton(Pressable):
    """One step: a numbered dot and its name, painted; state is done, now, todo or problem."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.setProperty("k", "step")
        self.setAutoDefault(False)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._number, self._state, self._compact = number, "todo", False
        self.set_state("todo")
        theme().changed.connect(self.update)

    def state(self) -> str:
        return self._state

    def set_state(self, state: str) -> None:
        self._state = state
        spoken = {"done": "done", "now": "current", "todo": "not yet done", "problem": "needs you"}
        self.setAccessibleName(f"Step {self._number}: {self.text()}, {spoken[state]}")
        self.update()

    def set_compact(self, compact: bool) -> None:
        """Compact steps show their name only while they are the current one."""
        if compact != self._compact:
            self._compact = compact
            self.updateGeometry()
            self.update()

    def full_width(self) -> int:
        """The width with its name, in pixels."""
        widest = QFontMetrics(sans(13, QFont.Weight.DemiBold)).horizontalAdvance(self.text())
        return widest + _DOT + 20

    def sizeHint(self) -> QSize:
        short = self._compact and self._state != "now"
        return QSize(_DOT + 6 if short else self.full_width(), 34)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.hasFocus() or self.underMouse():
            self._paint_back(painter)
        dot = QRectF(2, (self.height() - _DOT) / 2, _DOT, _DOT).adjusted(1, 1, -1, -1)
        self._paint_dot(painter, dot)
        painter.setFont(
            sans(13, QFont.Weight.DemiBold if self._state == "now" else QFont.Weight.Medium)
        )
        painter.setPen(theme().color("text" if self._state == "now" else "sub"))
        words = self.rect().adjusted(2 + _DOT + 9, 0, 0, 0)
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, self.text())

    def _paint_back(self, painter: QPainter) -> None:
        focus = theme().color("accent")
        painter.setPen(QPen(focus, 2) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("hover") if self.underMouse() else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)

    def _paint_dot(self, painter: QPainter, dot: QRectF) -> None:
        if self._state in ("done", "problem"):
            self._paint_sign(painter, dot)
            return
        now = self._state == "now"
        pen = QPen(theme().color("accent" if now else "line2"), 2 if now else 1.5)
        painter.setPen(pen)
        painter.setBrush(theme().color("accent_bg") if now else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(dot)
        painter.setPen(theme().color("text" if now else "mute"))
        painter.setFont(sans(12, QFont.Weight.DemiBold))
        painter.drawText(dot, Qt.AlignmentFlag.AlignCenter, str(self._number))

    def _paint_sign(self, painter: QPainter, dot: QRectF) -> None:
        done = self._state == "done"
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("accent" if done else "warn_bg"))
        painter.drawEllipse(dot)
        name, token, size = ("check", "on", 14) if done else ("alert", "warn", 14)
        picture = pixmap(name, token, size, self.devicePixelRatioF())
        painter.drawPixmap(dot.center().toPoint().x() - 6, dot.center().toPoint().y() - 6, picture)


class StepHeader(QWidget):
    """All steps in a row with lines between; a click asks to go there."""

    asked = Signal(int)

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.setAccessibleName("Steps")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        self.buttons: list[StepButton] = []
        for index, name in enumerate(names):
            if index:
                box.addWidget(Separator(), 1)
            button = StepButton(index + 1, name)
            button.clicked.connect(lambda _=False, step=index: self.asked.emit(step))
            self.buttons.append(button)
            box.addWidget(button)

    def set_states(self, states: Sequence[str]) -> None:
        """One state (done, now, todo, problem) for each step."""
        for button, state in zip(self.buttons, states, strict=True):
            button.set_state(state)
            button.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 34)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        gaps = 24 * (len(self.buttons) - 1)
        needed = sum(button.full_width() for button in self.buttons) + gaps
        for button in self.buttons:
            button.set_compact(needed > self.width())
            button.setToolTip(button.text() if needed > self.width() else "")
