"""The adapters of the library as a Qt item model, and what to say of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from studio.library.adapters import AdapterFacts, search
from studio.library.datasets import SAMPLE
from studio.ui import format as say
from studio.ui.tables.runs import when

Index = QModelIndex | QPersistentModelIndex
METHODS = {"lora": "LoRA", "qlora": "QLoRA", "dora": "DoRA"}
FACTS_ROLE = Qt.ItemDataRole.UserRole + 1
NONE = "\N{EN DASH}"
DOT = "  \N{MIDDLE DOT}  "


def method(facts: AdapterFacts) -> str:
    """QLoRA r16."""
    name = METHODS.get(facts.method, facts.method or "LoRA")
    return f"{name} r{facts.rank}" if facts.rank else name


def about(facts: AdapterFacts) -> str:
    """Base, dataset, size and date in one line."""
    dataset = dataset_name(facts)
    made = ("imported " if facts.imported else "") + when(facts.created_at)
    parts = (facts.base_name or "base unknown", dataset, say.size(facts.bytes), made)
    return DOT.join(part for part in parts if part)


def dataset_name(facts: AdapterFacts) -> str:
    """The sample dataset, a file's name, or a hub id as it is."""
    if facts.dataset == SAMPLE:
        return "sample dataset"
    path = Path(facts.dataset)
    return path.name if path.is_absolute() else facts.dataset


def modules(facts: AdapterFacts) -> str:
    """The kinds of modules the adapter sits on, each once: q_proj, v_proj."""
    return ", ".join(dict.fromkeys(target.rpartition(".")[2] for target in facts.targets))


def loss(value: float | None) -> str:
    return NONE if value is None else say.loss(value)


class AdaptersModel(QAbstractListModel):
    """Rows of AdapterFacts: those that were asked for, in the order asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._all: list[AdapterFacts] = []
        self._shown: list[AdapterFacts] = []
        self._words, self._tag, self._base, self._by = "", "", "", "date"

    @property
    def total(self) -> int:
        """How many there are, found or not."""
        return len(self._all)

    def set_rows(self, rows: Sequence[AdapterFacts]) -> None:
        self._all = list(rows)
        self._filter()

    def narrow(self, words: str, *, tag: str = "", base: str = "", by: str = "date") -> None:
        """Show those with every word, this tag and this base, in an order of search.SORTS."""
        self._words, self._tag, self._base, self._by = words, tag, base, by
        self._filter()

    def facts(self, row: int) -> AdapterFacts | None:
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def row_of(self, path: str) -> int:
        """The row of an adapter's folder; -1 where it isn't shown."""
        return next((row for row, facts in enumerate(self._shown) if facts.path == path), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        facts = self.facts(index.row())
        if facts is None or not index.isValid():
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return facts.name
            case Qt.ItemDataRole.AccessibleTextRole:
                parts = (facts.name, method(facts), about(facts), *facts.tags, facts.problem)
                return ", ".join(part for part in parts if part)
            case Qt.ItemDataRole.ToolTipRole:
                return facts.problem or facts.path
        return facts if role == FACTS_ROLE else None

    def _filter(self) -> None:
        found = search.found(self._all, self._words, tag=self._tag, base=self._base)
        self.beginResetModel()
        self._shown = search.ordered(found, self._by)
        self.endResetModel()
