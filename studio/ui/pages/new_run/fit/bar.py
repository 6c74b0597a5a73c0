"""The painted bar: the run's parts in the card's memory; a click on one names it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QHelpEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from studio.ui import format as say
from studio.ui.pages.new_run.fit.room import Room
from studio.ui.pages.new_run.fit.words import COLORS, OTHERS, RESERVE, words_of
from studio.ui.theme import theme

HEIGHT, TICK = 16, 4
GAP = 1.0
HATCHED = Qt.BrushStyle.BDiagPattern


class FitBar(QWidget):
    """Others hatched at the left, the reserve at the right, between them the run's parts and,
    paler, how far the upper bound goes. Ticks: where the reserve begins, and the card's end."""

    asked = Signal(str)
    """The name of a part that was clicked on."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT + 2 * TICK)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Memory the run would take, part by part")
        self.setMouseTracking(True)
        self._room = Room()
        theme().changed.connect(self.update)

    @property
    def room(self) -> Room:
        """What is shown."""
        return self._room

    def show_room(self, room: Room) -> None:
        """Show this."""
        if room == self._room:
            return
        self._room = room
        said = [f"{words_of(name).title} {say.size(size)}" for name, size in room.parts.items()]
        self.setAccessibleDescription(", ".join(said))
        self.update()

    def place_of(self, name: str) -> QPointF:
        """The middle of a part, in the widget's pixels."""
        left, right = self._spans().get(name, (0, 0))
        return QPointF(self._x((left + right) // 2), self.height() / 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar = QRectF(0, TICK, self.width(), HEIGHT)
        clip = QPainterPath()
        clip.addRoundedRect(bar, 5, 5)
        painter.save()
        painter.setClipPath(clip)
        painter.fillRect(bar, theme().color("line"))
        self._paint_parts(painter)
        painter.restore()
        if self._room.total:
            self._paint_ticks(painter)

    def _paint_parts(self, painter: QPainter) -> None:
        room = self._room
        for name, (left, right) in self._spans().items():
            if name in COLORS:
                self._fill(painter, left, right, QBrush(theme().color(COLORS[name])))
            else:
                self._fill(painter, left, right, QBrush(theme().color("mute"), HATCHED))
        if room.parts:
            tone = "err" if room.upper > room.limit and room.total else "text"
            self._fill(painter, room.expected, room.upper, QBrush(theme().color(tone, 90)))

    def _paint_ticks(self, painter: QPainter) -> None:
        """Where free memory ends, as a line through the bar; the card's end where it is passed."""
        room, height = self._room, self.height()
        for place in {room.limit, room.total}:
            if place < room.whole or place == room.limit:
                at = min(self._x(place), self.width() - 2)
                painter.fillRect(QRectF(at, 0, 2, height), theme().color("text"))

    def _spans(self) -> dict[str, tuple[int, int]]:
        """From which byte to which everything lies, in drawing order."""
        room, left = self._room, self._room.others
        spans = {RESERVE: (room.limit, room.total)} if room.reserve else {}
        if room.others:
            spans[OTHERS] = (0, room.others)
        for name, size in room.parts.items():
            spans[name] = (left, left + size)
            left += size
        return spans

    def _fill(self, painter: QPainter, left: int, right: int, brush: QBrush) -> None:
        from_, to = self._x(left), self._x(right)
        wide = to - from_ - (GAP if to - from_ > 3 * GAP else 0)
        painter.fillRect(QRectF(from_, TICK, wide, HEIGHT), brush)

    def _x(self, place: int) -> float:
        return place / self._room.whole * self.width()

    def _under(self, x: float) -> str:
        return self._room.at(int(x / max(1, self.width()) * self._room.whole))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        hand = Qt.CursorShape.PointingHandCursor if self._under(event.position().x()) else None
        self.setCursor(hand) if hand is not None else self.unsetCursor()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        name = self._under(event.position().x())
        if name and event.button() is Qt.MouseButton.LeftButton:
            self.asked.emit(name)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self._tip(event.x()), self)
            return True
        return super().event(event)

    def _tip(self, x: int) -> str:
        name, room = self._under(x), self._room
        sizes = {**room.parts, OTHERS: room.others, RESERVE: room.reserve}
        return f"{words_of(name).title}: {say.size(sizes[name])}" if name else ""
