"""The queue and all runs in a table, or what to do while there are none."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QMenu, QStackedWidget, QTableView, QVBoxLayout, QWidget

from studio.core.queue import Queue
from studio.core.run_state import allowed
from studio.core.wire import JobRow
from studio.ui.pages.runs.cells import dress
from studio.ui.pages.runs.queue_card import QueueCard
from studio.ui.run_controller import RunController
from studio.ui.session import Session
from studio.ui.tables import runs as table
from studio.ui.tables.runs import RunLine, RunsModel
from studio.ui.widgets import Button, Card, EmptyState, Heading, Page

WIDTHS = {1: 100, 3: 104, 4: 80, 5: 76, 6: 108}


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
        self.queue = QueueCard(session)
        self.queue.opened.connect(self.opened)
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
        self._stack.addWidget(self._filled())
        self.heading = Heading("Runs", "", self.new)
        self.body.addWidget(self.heading)
        self.body.addWidget(self._stack, 1)
        session.jobs_changed.connect(self._moved)
        session.queue_changed.connect(self._moved)
        self._show([])

    def _filled(self) -> QWidget:
        history = Card(margin=4, spacing=0)
        history.add(self.table)
        both = QWidget()
        inside = QVBoxLayout(both)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(16)
        inside.addWidget(self.queue)
        inside.addWidget(history, 1)
        return both

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
        self.queue.show_lines(lines)
        self._stack.setCurrentIndex(1 if lines else 0)
        self.new.setVisible(bool(lines))
        trained = [line for line in lines if line.state.kind == "train"]
        living = sum(line.living for line in trained)
        runs = f"{len(trained)} run" + ("s" if len(trained) != 1 else "")
        said = f"{runs}, {living} running" if living else runs
        self.heading.set_text("Runs", said if lines else "")

    def _moved(self, news: list[JobRow] | Queue) -> None:
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
        acts = self.controller
        may = allowed(line.state)
        menu.addAction(acts.queue_words(), acts.queue).setEnabled("resume" in may)
        for text, act in (("Rename", acts.rename), ("Delete", acts.delete)):
            menu.addAction(text, act).setEnabled("delete" in may and not line.living)
        menu.popup(place)
        menu.aboutToHide.connect(menu.deleteLater)


class RunsTable(QTableView):
    """Opens with a click, Enter or Space; the right button or the menu key asks for more."""

    chosen = Signal(int)
    asked = Signal(int, QPoint)

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        self.setModel(model)
        dress(self, "Runs", WIDTHS, bold=0, state=table.STATE_COLUMN)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
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
