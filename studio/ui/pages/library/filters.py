"""Which adapters are listed, and in what order: by words, tag and base."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.library.adapters import AdapterFacts, search
from studio.ui.tables.adapters import AdaptersModel
from studio.ui.widgets import ComboBox, LineEdit, row

SORTS = (
    ("date", "Latest first"),
    ("name", "By name"),
    ("base", "By base"),
    ("method", "By method"),
    ("loss", "Lowest loss first"),
    ("size", "Largest first"),
)


class Filters(QWidget):
    """Emits `changed` when something else is asked for; tags and bases show once there are any to
    choose from."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.search = LineEdit("Search adapters", "", "Search", "search")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _: self.changed.emit())
        self.tag = ComboBox("Tag")
        self.base = ComboBox("Base")
        self.sort = ComboBox("Order", SORTS)
        for box, width in ((self.tag, 124), (self.base, 124), (self.sort, 152)):
            box.setMinimumWidth(72)
            box.setMaximumWidth(width)
            box.chosen.connect(lambda _: self.changed.emit())
        line = row(self.search, self.tag, self.base, self.sort, spacing=8)
        line.setStretch(0, 1)
        self.setLayout(line)

    def offer(self, rows: Sequence[AdapterFacts]) -> None:
        """Offer the tags and bases of these adapters."""
        tags, bases = search.tags(rows), search.bases(rows)
        self.tag.set_choices([("", "Any tag"), *((tag, tag) for tag in tags)])
        self.base.set_choices([("", "Any base"), *((base, base) for base in bases)])
        self.tag.setVisible(bool(tags))
        self.base.setVisible(len(bases) > 1)

    def narrow(self, model: AdaptersModel) -> None:
        """Leave in the model what is asked for."""
        model.narrow(
            self.search.text(), tag=self.tag.value(), base=self.base.value(), by=self.sort.value()
        )

    def clear(self) -> None:
        """Ask for every adapter."""
        self.search.clear()
        self.tag.set_value("")
        self.base.set_value("")
