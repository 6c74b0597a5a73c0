"""A small drawing of how the losses went: a line for training, dots for the held-out rows."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui import format as say
from studio.ui.theme import theme

Points = Sequence[tuple[int, float]]
HEIGHT, MARGIN, DOT = 72, 4.0, 2.5


class Sparkline(QWidget):
    """Draws without numbers; the accessible name says where the lines begin and end."""

    def __init__(self) -> None:
        super().__init__()
        self._train: Points = ()
        self._held_out: Points = ()
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def show_losses(self, train: Points, held_out: Points) -> None:
        """Draw other losses, each (step, loss)."""
        self._train, self._held_out = train, held_out
        said = [
            f"{name} from {say.loss(points[0][1])} to {say.loss(points[-1][1])}"
            for name, points in (("training loss", train), ("held-out loss", held_out))
            if points
        ]
        self.setAccessibleName(", ".join(said) or "no losses")
        self.setToolTip(", ".join(said).capitalize())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        every = [*self._train, *self._held_out]
        if not every:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("raised"))
        painter.drawRoundedRect(room, 8, 8)
        inner = room.adjusted(8, 8, -8, -8)
        last = max(step for step, _ in every)
        low, high = min(loss for _, loss in every), max(loss for _, loss in every)

        def place(point: tuple[int, float]) -> QPointF:
            across = point[0] / last if last else 0.0
            up = (point[1] - low) / (high - low) if high > low else 0.5
            return QPointF(
                inner.left() + across * inner.width(), inner.bottom() - up * inner.height()
            )

        painter.setBrush(Qt.BrushStyle.NoBrush)
        for points, token in ((self._train, "c1"), (self._held_out, "c3")):
            painter.setPen(QPen(theme().color(token), 1.5))
            painter.drawPolyline(QPolygonF([place(point) for point in points]))
        painter.setBrush(theme().color("c3"))
        for point in self._held_out if len(self._held_out) <= 30 else self._held_out[-1:]:
            painter.drawEllipse(place(point), DOT, DOT)
        painter.end()
