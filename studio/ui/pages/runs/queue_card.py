"""The queue above the history: its order, start and stop, and what happens when all is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QMenu, QTableView, QWidget

from studio.core.facts import Machine
from studio.core.queue import Then
from studio.ui.pages.runs.cells import ROW_HEIGHT, dress
from studio.ui.session import Session
from studio.ui.tables import queue as table
from studio.ui.tables.queue import QueueModel, standing
from studio.ui.tables.runs import RunLine
from studio.ui.widgets import (
    Button,
    Card,
    ComboBox,
    ElidedLabel,
    IconButton,
    Pill,
    column,
    label,
    row,
)

ROWS = 4
WIDTHS = {table.PLACE: 40, table.STATE: 108, table.STEP: 128}
THEN = [("nothing", "Do nothing"), ("sleep", "Sleep"), ("shut-down", "Shut down")]
EMPTY = (
    "Runs that wait here train one after the other, also overnight. “Add to queue” is on the last "
    "step of a new run, and in the menu of every run that can go on."
)


class QueueCard(Card):
    """Shows `session.queue`; every change is asked of the keeper, and shown when it is made."""

    opened = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(margin=16, spacing=10)
        self._session = session
        self._lines: dict[str, RunLine] = {}
        self._chosen = ""
        self.model = QueueModel()
        self.pill = Pill()
        self.standing = ElidedLabel("", "mute", Qt.TextElideMode.ElideRight)
        self.then = ComboBox("When the queue is done", THEN)
        self.run = Button("Start queue", "primary", "play")
        self.table = QueueTable(self.model)
        self.up = IconButton("arrow-up", "Earlier (Alt+Up)")
        self.down = IconButton("arrow-down", "Later (Alt+Down)")
        self.remove = IconButton("x", "Take out of the queue (Del)")
        self._when = label("When done", "sub")
        self._empty = label(EMPTY, "mute", wrap=True)
        self._list = QWidget()
        self._lay_out()
        self._connect()
        self._offer(session.machine)
        self.refresh()

    def show_lines(self, lines: Sequence[RunLine]) -> None:
        """What is known of all runs now."""
        self._lines = {line.path.name: line for line in lines if line.state.kind == "train"}
        self.refresh()

    def refresh(self) -> None:
        """Show the queue as it is."""
        queue = self._session.queue
        self.model.show_queue(queue.waiting, self._lines)
        waiting = len(queue.waiting)
        self.pill.show_as(*_pill(queue.running, waiting))
        self.standing.setText(standing(queue, self._session.jobs, self._lines))
        self.then.set_value(queue.then)
        self.run.set_label(*(("Stop queue", "stop") if queue.running else ("Start queue", "play")))
        self.run.set_kind("" if queue.running else "primary")
        shown = bool(waiting or queue.running)
        for widget in (self.run, self.then, self._when):
            widget.setVisible(shown)
        self._empty.setVisible(not waiting)
        self._empty.setText(EMPTY)
        self._list.setVisible(bool(waiting))
        self.table.setFixedHeight(min(waiting, ROWS) * ROW_HEIGHT + 4)
        self._select()

    def move_by(self, places: int) -> None:
        """Move the chosen run earlier or later."""
        here = self.table.currentIndex().row()
        there = here + places
        if here >= 0 and 0 <= there < self.model.rowCount():
            self._move(self.model.name(here), there)

    def take_out(self) -> None:
        """Take the chosen run out of the queue."""
        here = self.table.currentIndex().row()
        if name := self.model.name(here):
            self._chosen = self.model.name(here + 1) or self.model.name(here - 1)
            self._session.worker.queue_remove(self._folder(name))

    def menu(self) -> QMenu:
        """What may be done with the chosen run."""
        menu = QMenu(self)
        here, last = self.table.currentIndex().row(), self.model.rowCount() - 1
        name = self.model.name(here)
        acts: list[tuple[str, Callable[[], object], bool]] = [
            ("Open", lambda: self._open(here), True),
            ("To the front", lambda: self._move(name, 0), here > 0),
            ("Earlier", lambda: self.move_by(-1), here > 0),
            ("Later", lambda: self.move_by(1), here < last),
            ("Take out of the queue", self.take_out, True),
        ]
        for text, act, may in acts:
            menu.addAction(text, act).setEnabled(may and bool(name))
        return menu

    def _lay_out(self) -> None:
        head = row(label("Queue", "h2"), self.pill, self.standing, spacing=10)
        head.setStretch(2, 1)
        head.addLayout(row(self._when, self.then, 4, self.run, spacing=8))
        self.then.setMinimumContentsLength(10)
        tools = column(self.up, self.down, self.remove, None, spacing=4)
        inside = row(spacing=8)
        inside.addLayout(column(self.table, None), 1)
        inside.addLayout(tools)
        self._list.setLayout(inside)
        self.add(head, self._empty, self._list)

    def _connect(self) -> None:
        session = self._session
        session.queue_changed.connect(self.refresh)
        session.jobs_changed.connect(self.refresh)
        session.machine_changed.connect(self._offer)
        self.run.clicked.connect(lambda: session.worker.queue_run(not session.queue.running))
        self.then.chosen.connect(self._set_then)
        self.up.clicked.connect(lambda: self.move_by(-1))
        self.down.clicked.connect(lambda: self.move_by(1))
        self.remove.clicked.connect(self.take_out)
        self.model.moved.connect(self._move)
        self.table.chosen.connect(self._open)
        self.table.moved.connect(self.move_by)
        self.table.removed.connect(self.take_out)
        self.table.customContextMenuRequested.connect(self._ask)
        self.table.selectionModel().currentRowChanged.connect(self._was_chosen)

    def _offer(self, machine: Machine | None) -> None:
        """What this machine can do when the queue is done."""
        can = ["nothing", *(machine.abilities if machine else ())]
        offered = [(value, text) for value, text in THEN if value in can]
        if self.then.count() != len(offered):
            self.then.set_choices(offered)
            self.then.set_value(self._session.queue.then)

    def _set_then(self, then: str) -> None:
        self._session.worker.queue_run(self._session.queue.running, cast(Then, then))

    def _move(self, name: str, place: int) -> None:
        self._chosen = name
        self._session.worker.queue_add(self._folder(name), place)

    def _open(self, place: int) -> None:
        if name := self.model.name(place):
            self.opened.emit(str(self._folder(name)))

    def _ask(self, place: QPoint) -> None:
        if self.table.currentIndex().isValid():
            menu = self.menu()
            menu.aboutToHide.connect(menu.deleteLater)
            menu.popup(self.table.viewport().mapToGlobal(place))

    def _folder(self, name: str) -> Path:
        return self._session.home.runs / name

    def _was_chosen(self) -> None:
        here, last = self.table.currentIndex().row(), self.model.rowCount() - 1
        if here >= 0:
            self._chosen = self.model.name(here)
        self.up.setEnabled(here > 0)
        self.down.setEnabled(0 <= here < last)
        self.remove.setEnabled(here >= 0)

    def _select(self) -> None:
        """The chosen run stays chosen wherever it moves; there is always one."""
        place = max(0, self.model.row_of(self._chosen))
        if self.table.currentIndex().row() != place:
            self.table.setCurrentIndex(self.model.index(place, table.NAME))
        self._was_chosen()


class QueueTable(QTableView):
    """Alt with Up and Down moves a run, Delete takes it out, Enter opens it, dragging moves it."""

    chosen = Signal(int)
    moved = Signal(int)
    removed = Signal()

    def __init__(self, model: QueueModel) -> None:
        super().__init__()
        self.setModel(model)
        dress(self, "Queue, in the order of their turn", WIDTHS, table.NAME, table.STATE)
        self.horizontalHeader().hide()
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDragDropOverwriteMode(False)
        self.setDropIndicatorShown(True)
        self.doubleClicked.connect(lambda index: self.chosen.emit(index.row()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, place = event.key(), self.currentIndex().row()
        alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        if alt and key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.moved.emit(-1 if key == Qt.Key.Key_Up else 1)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removed.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and place >= 0:
            self.chosen.emit(place)
        else:
            super().keyPressEvent(event)


def _pill(running: bool, waiting: int) -> tuple[str, str]:
    if running:
        return "Running", "ok"
    return ("Stopped", "plain") if waiting else ("", "plain")
