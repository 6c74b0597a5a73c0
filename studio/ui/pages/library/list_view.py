"""The list of adapters: two lines each, painted."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetricsF, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from studio.library.adapters import AdapterFacts
from studio.ui.tables import adapters as table
from studio.ui.tables.adapters import AdaptersModel
from studio.ui.theme import sans, theme

ROW_HEIGHT = 66
_MARGIN, _NUMBER_WIDTH = 14, 84
_TONES = {
    "plain": ("raised", "sub"), "soft": ("accent_bg", "accent_text"), "err": ("err_bg", "err"),
    "on": ("card", "accent_text"),
}  # fmt: skip


class AdapterList(QListView):
    """Emits `picked` with the row in view, `opened` on Enter or double click, `asked` for more."""

    picked = Signal(int)
    opened = Signal(int)
    asked = Signal(int, QPoint)
    unwanted = Signal(int)

    def __init__(self, model: AdaptersModel) -> None:
        super().__init__()
        self.setModel(model)
        self.setAccessibleName("Adapters")
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setItemDelegate(_TwoLines(self))
        self.selectionModel().currentChanged.connect(lambda now, _: self.picked.emit(now.row()))
        self.doubleClicked.connect(lambda index: self.opened.emit(index.row()))
        self.customContextMenuRequested.connect(self._ask)
        theme().changed.connect(self.viewport().update)

    def pick(self, row: int) -> None:
        """Select a row, if it is there."""
        index = self.model().index(row, 0)
        if index.isValid():
            self.setCurrentIndex(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        row = self.currentIndex().row()
        if row >= 0 and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit(row)
        elif row >= 0 and event.key() == Qt.Key.Key_Delete:
            self.unwanted.emit(row)
        else:
            super().keyPressEvent(event)

    def _ask(self, place: QPoint) -> None:
        row = self.indexAt(place).row()
        if row >= 0:
            self.asked.emit(row, self.viewport().mapToGlobal(place))


class _TwoLines(QStyledItemDelegate):
    """Name and method above; base, dataset, size and date below; the loss at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:  # type: ignore[override]
        return QSize(240, ROW_HEIGHT)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex,  # type: ignore[override]
    ) -> None:
        facts: AdapterFacts = index.data(table.FACTS_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(option.rect)
        self._background(painter, room, option.state)
        inner = room.adjusted(_MARGIN, 12, -_MARGIN, -12)
        known = facts.eval_loss if facts.eval_loss is not None else facts.train_loss
        if known is not None:
            width = _NUMBER_WIDTH
            number = QRectF(inner.right() - width, inner.top(), width, inner.height())
            self._number(painter, number, known, facts.eval_loss is not None)
            inner = inner.adjusted(0, 0, -width - 12, 0)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        self._words(painter, inner, facts, selected)
        painter.restore()

    def _background(self, painter: QPainter, room: QRectF, state: QStyle.StateFlag) -> None:
        card = room.adjusted(2, 2, -2, -2)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        painter.setPen(Qt.PenStyle.NoPen)
        if selected or hovered:
            painter.setBrush(theme().color("accent_bg" if selected else "hover"))
            painter.drawRoundedRect(card, 10, 10)

    def _words(self, painter: QPainter, room: QRectF, facts: AdapterFacts, selected: bool) -> None:
        bold = sans(13, QFont.Weight.DemiBold)
        first = ("Broken", "err") if facts.problem else (table.method(facts), "plain")
        head = room.width() - _pill_width(first[0]) - 8
        name = _elided(painter, bold, facts.name, head, "text")
        top = QRectF(room.left(), room.top(), room.width(), 20)
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter, name)
        left = room.left() + QFontMetricsF(bold).horizontalAdvance(name) + 8
        for text, tone in (first, *((tag, "soft") for tag in facts.tags)):
            tone = "on" if selected and tone == "soft" else tone
            width = _pill_width(text)
            if left + width > room.right() + 1:
                break
            self._pill(painter, QRectF(left, room.top() + 1, width, 18), text, tone)
            left += width + 6
        below = facts.problem or table.about(facts)
        tone = "err" if facts.problem else "sub"
        text = _elided(painter, sans(12), below, room.width(), tone)
        bottom = QRectF(room.left(), room.top() + 23, room.width(), 18)
        painter.drawText(bottom, Qt.AlignmentFlag.AlignVCenter, text)

    def _pill(self, painter: QPainter, box: QRectF, text: str, tone: str) -> None:
        ground, ink = _TONES[tone]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(ground))
        painter.drawRoundedRect(box, 9, 9)
        painter.setPen(theme().color(ink))
        painter.setFont(sans(11, QFont.Weight.DemiBold))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _number(self, painter: QPainter, room: QRectF, loss: float, held_out: bool) -> None:
        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(theme().color("text"))
        painter.setFont(sans(13, QFont.Weight.DemiBold))
        painter.drawText(QRectF(room.left(), room.top(), room.width(), 20), side, table.loss(loss))
        painter.setPen(theme().color("mute"))
        painter.setFont(sans(11))
        caption = "eval loss" if held_out else "train loss"
        painter.drawText(QRectF(room.left(), room.top() + 23, room.width(), 18), side, caption)


def _pill_width(text: str) -> float:
    return QFontMetricsF(sans(11, QFont.Weight.DemiBold)).horizontalAdvance(text) + 16


def _elided(painter: QPainter, font: QFont, text: str, width: float, token: str) -> str:
    painter.setFont(font)
    painter.setPen(theme().color(token))
    return QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, width)
