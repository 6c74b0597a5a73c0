"""Which column plays which role, mapped by choosing."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.widgets import Card, ComboBox, Field, Segmented, grid, label, row

KINDS = {
    "chat": ("Chat", ("messages", "system")),
    "pair": ("Prompt and answer", ("prompt", "input", "completion", "system")),
    "text": ("Plain text", ("text",)),
}
ROLES = {
    "messages": ("Messages", "A list of messages with roles"),
    "prompt": ("Prompt", "What is asked"),
    "input": ("Input", "Added to the prompt, where there is one"),
    "completion": ("Answer", "What the model should say"),
    "system": ("System prompt", "Where there is one"),
    "text": ("Text", "Learnt as it stands"),
}
OPTIONAL = ("input", "system")


class ColumnMapping(Card):
    """Combo boxes for the roles of one kind of dataset; writes the mapping into the draft."""

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__(spacing=14)
        self._draft = draft
        self.kind = Segmented("What the rows are", [(k, v[0]) for k, v in KINDS.items()])
        self.kind.selected.connect(self._rebuild)
        self.boxes: dict[str, ComboBox] = {}
        self._room = QVBoxLayout()
        self._inside: QWidget | None = None
        self.add(row(label("Columns", "h2"), None, self.kind), self._room)

    def refresh(self) -> None:
        """Show the mapping in force: the recipe's, or else the one that was recognised."""
        report, part = self._draft.report, self._draft.dataset_part
        columns = report.columns if report else ()
        roles = (
            dict(part.columns) if part and part.columns else dict(report.roles if report else {})
        )
        kind = kind_of(roles)
        if self.kind.value() != kind or self._stale(columns):
            self.kind.set_value(kind)
            self._build(kind, columns)
        for role, box in self.boxes.items():
            box.set_value(roles.get(role, ""))

    def _stale(self, columns: tuple[str, ...]) -> bool:
        shown = [
            {box.itemData(i) for i in range(box.count())} - {""} for box in self.boxes.values()
        ]
        return not shown or any(each != set(columns) for each in shown)

    def _rebuild(self, kind: str) -> None:
        self._build(kind, self._draft.report.columns if self._draft.report else ())

    def _build(self, kind: str, columns: tuple[str, ...]) -> None:
        if self._inside is not None:
            self._inside.hide()
            self._inside.deleteLater()
        self.boxes = {}
        fields = []
        for role in KINDS[kind][1]:
            title, hint = ROLES[role]
            none = "None" if role in OPTIONAL else "Choose a column"
            box = ComboBox(title, [("", none), *((name, name) for name in columns)])
            box.chosen.connect(self._chosen)
            self.boxes[role] = box
            fields.append(Field(title, box, hint))
        self._inside = QWidget()
        self._inside.setLayout(grid(2, *fields, spacing=16))
        self._room.addWidget(self._inside)

    def _chosen(self) -> None:
        """Take the mapping over once every role that is needed has a column."""
        chosen = {role: box.value() for role, box in self.boxes.items() if box.value()}
        needed = [role for role in self.boxes if role not in OPTIONAL]
        if all(role in chosen for role in needed):
            self._draft.set_columns(chosen)


def kind_of(roles: dict[str, str]) -> str:
    """Which of KINDS a mapping is."""
    if "text" in roles:
        return "text"
    return "chat" if "messages" in roles else "pair"
