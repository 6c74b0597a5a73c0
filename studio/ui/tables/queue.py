"""The queue as a Qt item model, and where it stands in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QAbstractTableModel, QMimeData, QModelIndex, Qt, Signal

from studio.core.queue import Queue
from studio.core.run_state import RunState
from studio.core.wire import JobRow
from studio.ui import format as say
from studio.ui import reasons
from studio.ui.tables.runs import NONE, TONE_ROLE, Index, RunLine, pill

COLUMNS = ("", "Name", "State", "Model and method", "Step")
PLACE, NAME, STATE, ABOUT, STEP = range(5)
MIME = "application/x-finetune-studio-queue"


class QueueModel(QAbstractTableModel):
    """The runs that wait, in the order of their turn."""

    moved = Signal(str, int)
    """A run was dropped at another place: its name, and the place counted from 0."""

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] = ()
        self._lines: dict[str, RunLine] = {}

    def show_queue(self, names: Sequence[str], lines: Mapping[str, RunLine]) -> None:
        """Show these runs; `lines` says what is known of them."""
        known = {name: lines[name] for name in names if name in lines}
        if tuple(names) == self._names:
            self._lines = known
            if names:
                last = self.index(len(names) - 1, len(COLUMNS) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self._names, self._lines = tuple(names), known
        self.endResetModel()

    def name(self, row: int) -> str:
        """The run at this place; "" where there is none."""
        return self._names[row] if 0 <= row < len(self._names) else ""

    def row_of(self, name: str) -> int:
        return self._names.index(name) if name in self._names else -1

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._names)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        name = self.name(index.row())
        if not name or not index.isValid():
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(index.row(), name, index.column())
        if role == Qt.ItemDataRole.AccessibleTextRole:
            said = self._text(index.row(), name, index.column())
            return f"Place {said}" if index.column() == PLACE else said
        if role == Qt.ItemDataRole.ToolTipRole:
            return name
        return self._pill(name)[1] if role == TONE_ROLE else None

    def _text(self, row: int, name: str, column: int) -> str:
        line = self._lines.get(name)
        match column:
            case 0:
                return str(row + 1)
            case 1:
                return name
            case 2:
                return self._pill(name)[0]
            case 3 if line is not None:
                return line.about
            case 4 if line is not None and line.state.total_steps:
                return f"{say.count(line.state.step)} of {say.count(line.state.total_steps)}"
        return NONE

    def _pill(self, name: str) -> tuple[str, str]:
        line = self._lines.get(name)
        return pill(line.state if line else RunState(), "running" if line and line.living else "")

    # dragging

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        if index.isValid():
            return flags | Qt.ItemFlag.ItemIsDragEnabled
        return flags | Qt.ItemFlag.ItemIsDropEnabled

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        data = QMimeData()
        data.setData(MIME, self.name(indexes[0].row()).encode())
        return data

    def dropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        """Ask for the move; the rows follow when the queue has changed."""
        name = bytes(data.data(MIME).data()).decode()
        here = self.row_of(name)
        before = row if row >= 0 else parent.row() if parent.isValid() else len(self._names)
        if here >= 0 and before not in (here, here + 1):
            self.moved.emit(name, before - 1 if before > here else before)
        return False  # or else the view would take the row out by itself


def standing(queue: Queue, jobs: Sequence[JobRow], lines: Mapping[str, RunLine]) -> str:
    """Where the queue stands, in a sentence."""
    if not queue.running:
        return queue.text or ("Nothing starts by itself." if queue.waiting else "")
    training = [job for job in jobs if job.kind == "train"]
    if training:
        name = training[0].name
        mine = name == queue.current
        return f"“{name}” is at work." if mine else f"Goes on when “{name}” has ended."
    if queue.text:
        return queue.text
    now = lines.get(queue.current)
    if now is not None and reasons.waits(now.state):
        return f"“{now.name}” waits: {reasons.short(now.state.pause_reason)}."
    return "The next one starts in a moment." if queue.waiting else "All done."
