"""The list of runs as a Qt item model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from studio.core.errors import StudioError
from studio.core.recipe import Recipe
from studio.core.run_state import RunState
from studio.library import runs
from studio.library.folders import Home
from studio.library.models import STARTER, starter
from studio.ui import format as say
from studio.ui import reasons
from studio.ui.job_titles import TITLES

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("Name", "State", "Model and method", "Step", "Train loss", "Eval loss", "Created")
STATE_COLUMN = 1
NUMBERS = (3, 4, 5)
TONE_ROLE = Qt.ItemDataRole.UserRole + 1
NONE = "\N{EN DASH}"

METHODS = {"full": "Full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
_PILLS = {
    "created": ("Not started", "plain"),
    "running": ("Running", "ok"),
    "paused": ("Paused", "warn"),
    "stopped": ("Stopped", "soft"),
    "finished": ("Finished", "soft"),
    "cancelled": ("Cancelled", "plain"),
    "failed": ("Failed", "err"),
    "crashed": ("Crashed", "err"),
    "newer": ("Too new", "plain"),
}


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One row: a run, or a living job of another kind."""

    path: Path
    name: str
    about: str
    state: RunState
    living: bool


def pill(state: RunState, job: str = "") -> tuple[str, str]:
    """What to call a state, and the tone of its pill; `job` is the JobRow's state, if it lives."""
    if job == "ending" and state.state == "running":
        return "Ending", "warn"
    if job == "starting" or (job and state.state == "created"):
        return "Starting", "ok"
    if state.state == "running" and state.kind == "train" and state.stage == "Training":
        return "Training", "ok"
    if reasons.waits(state):
        return "Waiting", "warn"
    return _PILLS[state.state]


def about(recipe: Recipe, rank: str = "rank ") -> str:
    """A run's model and method in a few words; `rank` stands before the rank's number."""
    path = recipe.model.path
    model = starter().name if path == STARTER else Path(path).name or path
    method = METHODS[recipe.method]
    shape = f" {rank}{recipe.lora.rank}" if recipe.method != "full" else ""
    return f"{model}  ·  {method}{shape}"


def load(home: Home) -> list[RunLine]:
    """The rows of a home, from disk; not for the window's thread."""
    return [_line(row) for row in runs.listing(home)]


class RunsModel(QAbstractTableModel):
    """Rows of RunLine, changed in place where only their content changed."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[RunLine] = []

    def set_lines(self, lines: Sequence[RunLine]) -> None:
        """Show these rows; the selection stays where the same runs stay in the same order."""
        same = [line.path for line in lines] == [line.path for line in self._lines]
        if same:
            self._lines = list(lines)
            if lines:
                last = self.index(len(lines) - 1, len(COLUMNS) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self._lines = list(lines)
        self.endResetModel()

    def line(self, row: int) -> RunLine | None:
        return self._lines[row] if 0 <= row < len(self._lines) else None

    def row_of(self, path: Path) -> int:
        """The row of a run; -1 where there is none."""
        return next((row for row, line in enumerate(self._lines) if line.path == path), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return _alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        line = self.line(index.row())
        if line is None or not index.isValid():
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return _text(line, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(line)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        return _pill(line)[1] if role == TONE_ROLE else None


def _line(row: runs.RunRow) -> RunLine:
    if row.kind != "train":  # its folder's name says nothing to anybody
        name, text = TITLES.get(row.kind, row.kind), NONE
    else:
        name, text = row.name, _recipe(row.path)
    return RunLine(path=row.path, name=name, about=text, state=row.state, living=row.living)


def _recipe(folder: Path) -> str:
    try:
        return about(runs.recipe_of(folder), rank="r")
    except StudioError:
        return "Recipe can't be read"


def _text(line: RunLine, column: int) -> str:
    state = line.state
    match column:
        case 0:
            return line.name
        case 1:
            return _pill(line)[0]
        case 2:
            return line.about
        case 3 if state.total_steps:
            return f"{say.count(state.step)} of {say.count(state.total_steps)}"
        case 4 if state.train_loss is not None:
            return say.loss(state.train_loss)
        case 5 if state.eval_loss is not None:
            return say.loss(state.eval_loss)
        case 6 if state.created_at:
            return when(state.created_at)
    return NONE


def _tip(line: RunLine) -> str:
    """What went wrong, or why it waits."""
    state = line.state
    if state.text:
        return f"{state.title}: {state.text}"
    if state.state == "paused" and state.pause_reason:
        return f"{reasons.headline(state)}. {reasons.text(state.pause_reason)}"
    return line.name


def _pill(line: RunLine) -> tuple[str, str]:
    return pill(line.state, "running" if line.living else "")


def when(seconds: float) -> str:
    """A moment as people say it: 14:02 today, else with its day."""
    moment, now = time.localtime(seconds), time.localtime()
    clock = time.strftime("%H:%M", moment)
    if moment[:3] == now[:3]:
        return f"today {clock}"
    day = time.strftime("%d %b", moment).lstrip("0")
    return f"{day} {clock}" if moment.tm_year == now.tm_year else f"{day} {moment.tm_year}"


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
