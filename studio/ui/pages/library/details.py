"""All that is known of one adapter, and the buttons that act on it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel

from studio.library.adapters import AdapterFacts
from studio.ui import format as say
from studio.ui.tables import adapters as table
from studio.ui.tables.runs import when
from studio.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    IconButton,
    InlineMessage,
    Pill,
    Separator,
    label,
    row,
)

WIDTH = 316
_LINES = (
    "Base", "Method", "Rank", "Alpha", "Targets", "Dataset", "Train loss", "Eval loss",
    "Created", "Size", "Run", "Made from",
)  # fmt: skip


class Details(Card):
    """Shows one adapter; the page connects the buttons."""

    def __init__(self) -> None:
        super().__init__(margin=18, spacing=12)
        self.setFixedWidth(WIDTH)
        self.facts: AdapterFacts | None = None
        self.name = ElidedLabel("", "h2", Qt.TextElideMode.ElideRight)
        self.pill = Pill()
        self.problem = InlineMessage()
        self.chat = Button("Chat with it", "primary", "chat", "Beside its base, from one prompt")
        self.merge = Button("Merge", "", "merge", "Write base and adapter as one model folder")
        self.use = Button("Use it in other programs", "", "globe", "Over OpenAI's interface")
        self.rename = IconButton("pencil", "Rename")
        self.delete = IconButton("trash", "Delete: moves it to the trash")
        self.folder = IconButton("folder", "Open its folder")
        self._values = {name: ElidedLabel("", "") for name in _LINES}
        self._names: dict[str, QLabel] = {}
        head = row(self.name, self.pill, spacing=8)
        head.setStretch(0, 1)
        self.add(head, self.problem, row(self.chat, self.merge, None), self.use)
        self.add(Separator(), self._grid(), None, Separator())
        self.add(row(self.rename, self.delete, None, self.folder, spacing=4))

    def show_adapter(self, facts: AdapterFacts) -> None:
        """Show another adapter, or the same one changed."""
        self.facts = facts
        self.name.setText(facts.name)
        self.pill.show_as("imported" if facts.imported else "", "plain")
        self.problem.setVisible(False)
        if facts.problem:
            self.problem.show_message("This adapter can't be used", facts.problem)
        for button in (self.chat, self.merge, self.use, self.rename):
            button.setEnabled(not facts.problem)
        for name, value in _texts(facts).items():
            self._values[name].setText(value)
            self._values[name].setVisible(bool(value))
            self._names[name].setVisible(bool(value))

    def value(self, name: str) -> str:
        """What stands beside this name."""
        return self._values[name].text()

    def _grid(self) -> QGridLayout:
        made = QGridLayout()
        made.setContentsMargins(0, 0, 0, 0)
        made.setHorizontalSpacing(14)
        made.setVerticalSpacing(7)
        made.setColumnStretch(1, 1)
        for line, name in enumerate(_LINES):
            self._names[name] = label(name, "mute")
            self._names[name].setBuddy(self._values[name])
            made.addWidget(self._names[name], line, 0)
            made.addWidget(self._values[name], line, 1)
        return made


def _texts(facts: AdapterFacts) -> dict[str, str]:
    return {
        "Base": facts.base_name or "not named",
        "Method": table.METHODS.get(facts.method, facts.method),
        "Rank": str(facts.rank or ""),
        "Alpha": f"{facts.alpha:g}" if facts.alpha else "",
        "Targets": table.modules(facts),
        "Dataset": table.dataset_name(facts),
        "Train loss": "" if facts.train_loss is None else table.loss(facts.train_loss),
        "Eval loss": "" if facts.eval_loss is None else table.loss(facts.eval_loss),
        "Created": when(facts.created_at) if facts.created_at else "",
        "Size": say.size(facts.bytes) if facts.bytes else "",
        "Run": facts.run,
        "Made from": ", ".join(each.name for each in facts.lineage),
    }
