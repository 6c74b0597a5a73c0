"""All runs in a table, or what to do while there are none."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStackedWidget,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from studio.core.wire import JobRow
from studio.ui.run_controller import RunController
from studio.ui.session import Session
from studio.ui.tables import runs as table
from studio.ui.tables.runs import RunLine, RunsModel
from studio.ui.theme import sans, theme
from studio.ui.widgets import Button, Card, EmptyState, Heading, Page

_PILL = {
    "ok": ("ok_bg", "ok"),
    "warn": ("warn_bg", "warn"),
    "err": ("err_bg", "err"),
    "soft": ("accent_bg", "accent_text"),
    "plain": ("raised", "sub"),
}
_WIDTHS = {1: 100, 3: 108, 4: 88, 5: 84, 6: 112}


class ListView(Page):
    """Emits `opened` with the folder of the run that was chosen."""

    opened = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(scroll=False)
        self._session = session
        self._loading = self._again = False
        self.model = RunsModel()
        self.controller = RunController(session, self)
        self.controller.changed.connect(self.reload)
        self.new = Button("New run", "primary", "plus")
        self.new.clicked.connect(lambda: session.open_page.emit("new_run"))
        self.table = RunsTable(self.model)
        self.table.chosen.connect(self._choose)
        self.table.asked.connect(self._menu)
        card = Card(margin=4, spacing=0)
        card.add(self.table)
        self.empty = EmptyState(
            "activity",
            "No runs yet",
            "Pick a model and a dataset, and watch it learn here. Every run stays in this list "
            "with its curves and its log.",
            "New run",
        )
        self.empty.button.clicked.connect(lambda: session.open_page.emit("new_run"))
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(card)
        self.heading = Heading("Runs", "", self.new)
        self.body.addWidget(self.heading)
        self.body.addWidget(self._stack, 1)
        session.jobs_changed.connect(self._jobs_moved)
        self._show([])

    def reload(self) -> None:
        """Read the runs from disk, in the background; many calls at once read twice at most."""
        if self._loading:
            self._again = True
            return
        self._loading = True
        self._session.background(
            table.load, self._session.home, done=self._loaded, failed=self._not_loaded
        )

    def _loaded(self, lines: list[RunLine]) -> None:
        self._loading = False
        self._show(lines)
        if self._again:
            self._again = False
            self.reload()

    def _not_loaded(self, error: object) -> None:
        self._loading = False
        self._session.failed.emit(error)

    def _show(self, lines: list[RunLine]) -> None:
        self.model.set_lines(lines)
        self._stack.setCurrentIndex(1 if lines else 0)
        self.new.setVisible(bool(lines))
        trained = [line for line in lines if line.state.kind == "train"]
        living = sum(line.living for line in trained)
        runs = f"{len(trained)} run" + ("s" if len(trained) != 1 else "")
        said = f"{runs}, {living} running" if living else runs
        self.heading.set_text("Runs", said if lines else "")

    def _jobs_moved(self, jobs: list[JobRow]) -> None:
        if self.isVisible():
            self.reload()

    def _choose(self, row: int) -> None:
        line = self.model.line(row)
        if line and line.state.kind == "train":
            self.opened.emit(str(line.path))

    def _menu(self, row: int, place: QPoint) -> None:
        line = self.model.line(row)
        if line is None or line.state.kind != "train":
            return
        self.controller.folder = Path(line.path)
        menu = QMenu(self)
        menu.addAction("Open", lambda: self._choose(row))
        menu.addSeparator()
        for text, act in (("Rename", self.controller.rename), ("Delete", self.controller.delete)):
            menu.addAction(text, act).setEnabled(not line.living)
        menu.popup(place)
        menu.aboutToHide.connect(menu.deleteLater)


class RunsTable(QTableView):
    """Opens with a click, Enter or Space; the right button or the menu key asks for more."""

    chosen = Signal(int)
    asked = Signal(int, QPoint)

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        self.setModel(model)
        self.setAccessibleName("Runs")
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(44)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(72)
        for column in range(len(table.COLUMNS)):
            stretch = column not in _WIDTHS
            mode = QHeaderView.ResizeMode
            header.setSectionResizeMode(column, mode.Stretch if stretch else mode.Fixed)
            if not stretch:
                self.setColumnWidth(column, _WIDTHS[column])
        self.setItemDelegate(_Cells(self))
        self.clicked.connect(lambda index: self.chosen.emit(index.row()))
        self.customContextMenuRequested.connect(self._ask)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        opens = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
        if event.key() in opens and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex().row())
        else:
            super().keyPressEvent(event)

    def _ask(self, place: QPoint) -> None:
        index = self.indexAt(place)
        row = index.row() if index.isValid() else self.currentIndex().row()
        if row >= 0:
            self.asked.emit(row, self.viewport().mapToGlobal(place))


class _Cells(QStyledItemDelegate):
    """Names in bold, states as pills."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex) -> None:  # type: ignore[override]
        super().initStyleOption(option, index)
        if index.column() == 0:
            option.font.setWeight(option.font.Weight.DemiBold)
        elif index.column() != table.STATE_COLUMN:
            option.palette.setColor(option.palette.ColorRole.Text, theme().color("sub"))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex,  # type: ignore[override]
    ) -> None:
        if index.column() != table.STATE_COLUMN:
            super().paint(painter, option, index)
            return
        empty = QStyleOptionViewItem(option)
        self.initStyleOption(empty, index)
        empty.text = ""
        widget: QWidget = option.widget
        style = widget.style()
        style.drawControl(style.ControlElement.CE_ItemViewItem, empty, painter, widget)
        self._pill(painter, QRectF(option.rect), str(index.data()), index.data(table.TONE_ROLE))

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
