"""How tables of runs look: names in bold, states as pills."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from studio.ui.tables.runs import TONE_ROLE
from studio.ui.theme import sans, theme

ROW_HEIGHT = 44
_PILL = {
    "ok": ("ok_bg", "ok"),
    "warn": ("warn_bg", "warn"),
    "err": ("err_bg", "err"),
    "soft": ("accent_bg", "accent_text"),
    "plain": ("raised", "sub"),
}


def dress(table: QTableView, name: str, widths: dict[int, int], bold: int, state: int) -> None:
    """Give a table the studio's look: columns without a width share what is left; `bold` is the
    column of names and `state` that of pills."""
    table.setAccessibleName(name)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setMouseTracking(True)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    table.setTabKeyNavigation(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setMinimumSectionSize(min(72, *widths.values()))
    for column in range(table.model().columnCount()):
        mode = QHeaderView.ResizeMode
        header.setSectionResizeMode(column, mode.Fixed if column in widths else mode.Stretch)
        if column in widths:
            table.setColumnWidth(column, widths[column])
    table.setItemDelegate(Cells(table, bold, state))


class Cells(QStyledItemDelegate):
    """Names in bold, states as pills, the rest quiet."""

    def __init__(self, parent: QWidget, bold: int, state: int) -> None:
        super().__init__(parent)
        self._bold, self._state = bold, state

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex) -> None:  # type: ignore[override]
        super().initStyleOption(option, index)
        if index.column() == self._bold:
            option.font.setWeight(option.font.Weight.DemiBold)
        elif index.column() != self._state:
            option.palette.setColor(option.palette.ColorRole.Text, theme().color("sub"))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex,  # type: ignore[override]
    ) -> None:
        if index.column() != self._state:
            super().paint(painter, option, index)
            return
        empty = QStyleOptionViewItem(option)
        self.initStyleOption(empty, index)
        empty.text = ""
        widget: QWidget = option.widget
        style = widget.style()
        style.drawControl(style.ControlElement.CE_ItemViewItem, empty, painter, widget)
        self._pill(painter, QRectF(option.rect), str(index.data()), index.data(TONE_ROLE))

    def _pill(self, painter: QPainter, room: QRectF, text: str, tone: str) -> None:
        surface, ink = _PILL[tone]
        font = sans(12, sans().Weight.DemiBold)
        size = QSize(QFontMetrics(font).horizontalAdvance(text) + 18, 20)
        box = QRectF(room.left() + 8, room.center().y() - 11, size.width(), size.height())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(surface))
        painter.drawRoundedRect(box, 10, 10)
        painter.setPen(theme().color(ink))
        painter.setFont(font)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.restore()
