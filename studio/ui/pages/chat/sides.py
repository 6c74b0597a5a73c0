"""Who is spoken to: a model, and for each column the bare model or one of its adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.library import adapter_files, adapters, mixing, models
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.widgets import Button, ComboBox, IconButton, clear, column, label, row

BARE = ""
MOST = 4
_LEAST_WIDTH, _MODEL_WIDTH, _SIDE_WIDTH, _WIDE = 84, 230, 180, 2000
_A_LINE_OF_THEIR_OWN = 2
"""As many columns are chosen on a line of their own, above what they answer."""


class Sides(QWidget):
    """The model's choice, up to four sides, and whether they are compared blindly."""

    model_chosen = Signal(str)
    sides_chosen = Signal()
    blind_chosen = Signal(bool)
    mix_wanted = Signal(int, object)
    """The column whose mix is to be changed, and the button that was pressed."""

    def __init__(self) -> None:
        super().__init__()
        self._adapters: list[AdapterFacts] = []
        self._boxes: list[ComboBox] = []
        self.model = ComboBox("Model")
        _between(self.model, _LEAST_WIDTH, _MODEL_WIDTH)
        self.model.chosen.connect(self.model_chosen)
        self.add = Button("Compare", "ghost", "plus", "Answer in one more column")
        self.add.clicked.connect(self._add)
        self.blind = Button("Blind", "chip", tip="Hide who answers, shuffle the columns, and vote")
        self.blind.setCheckable(True)
        self.blind.clicked.connect(self.blind_chosen)
        self._row = QHBoxLayout()
        self._row.setSpacing(8)
        self._below = QHBoxLayout()
        self._below.setSpacing(12)
        name = label("Model", "mute")
        name.setBuddy(self.model)
        above = row(name, spacing=8)
        above.addWidget(self.model, 6)
        above.addSpacing(8)
        above.addLayout(self._row, 12)
        above.addWidget(self.add)
        above.addWidget(self.blind)
        above.addStretch(1)
        self._whole = column(above, self._below, spacing=8)
        self.setLayout(self._whole)
        self.set_sides([BARE])

    def set_models(self, found: Sequence[tuple[str, str]]) -> None:
        """Offer these (folder, name); the choice stays if it is still there."""
        self.model.set_choices(found)

    def show_model(self, folder: str) -> None:
        """Choose a model, offering it if it isn't among the known ones. No signal."""
        if self.model.findData(folder) < 0:
            self.model.addItem(Path(folder).name, folder)
        self.model.set_value(folder)

    def set_adapters(self, found: Sequence[AdapterFacts]) -> None:
        """Offer these adapters; sides whose adapter is gone fall back to the bare model."""
        if list(found) == self._adapters:
            return
        lost = {facts.path for facts in self._adapters} - {facts.path for facts in found}
        self._adapters = list(found)
        self.set_sides([BARE if side in lost else side for side in self.sides()])

    def sides(self) -> list[str]:
        """Of each column, the adapter's folder or `BARE`."""
        return [box.value() for box in self._boxes]

    def set_sides(self, wanted: Sequence[str]) -> None:
        """Show these columns. No signal."""
        clear(self._row)
        clear(self._below)
        self._boxes = []
        many = len(wanted) >= _A_LINE_OF_THEIR_OWN
        for number, side in enumerate(wanted[:MOST]):
            made = self._side(number, side, len(wanted) > 1, _WIDE if many else _SIDE_WIDTH)
            (self._below if many else self._row).addLayout(made, 1)
        self._whole.setSpacing(8 if many else 0)
        self.add.setVisible(len(self._boxes) < MOST)
        self.add.setEnabled(bool(self._adapters) or len(self._boxes) > 1)
        self.blind.setVisible(len(self._boxes) > 1)

    def name(self, side: str) -> str:
        """What to call a side."""
        named = next((facts.name for facts in self._adapters if facts.path == side), "")
        return named or (mixing.called(side) if side else "Bare model")

    def datasets(self) -> set[str]:
        """What the chosen adapters were trained on."""
        chosen = set(self.sides())
        return {facts.dataset for facts in self._adapters if facts.path in chosen}

    def _side(self, number: int, side: str, several: bool, most: int) -> QHBoxLayout:
        choices = [(BARE, "Bare model")] + [(f.path, f.name) for f in self._adapters]
        if side and side not in dict(choices):
            choices.append((side, mixing.called(side)))
        box = ComboBox(f"Adapter of column {number + 1}" if several else "Adapter", choices)
        _between(box, _LEAST_WIDTH, most)
        box.set_value(side)
        box.chosen.connect(lambda _: self.sides_chosen.emit())
        self._boxes.append(box)
        made = row(box, spacing=0)
        if mixing.names_draft(side):
            tune = IconButton("sliders", f"Change the mix of column {number + 1}")
            tune.clicked.connect(lambda _=False, at=number: self.mix_wanted.emit(at, tune))
            made.addWidget(tune)
        if not several:
            return made
        close = IconButton("x", f"Close column {number + 1}")
        close.clicked.connect(lambda _=False, which=number: self._remove(which))
        made.addWidget(close)
        return made

    def _add(self) -> None:
        taken = self.sides()
        free = [f.path for f in self._adapters if f.path not in taken]
        fresh = BARE if BARE not in taken else (free or [BARE])[0]
        self.set_sides([*taken, fresh])
        self.sides_chosen.emit()

    def _remove(self, which: int) -> None:
        self.set_sides([s for number, s in enumerate(self.sides()) if number != which])
        self.sides_chosen.emit()


def _between(box: ComboBox, least: int, most: int) -> None:
    box.setMinimumWidth(least)
    box.setMaximumWidth(most)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def known_models(home: Home) -> list[tuple[str, str]]:
    """Folder and name of every model that can be talked to; not for the window's thread."""
    return [(facts.path, facts.name) for facts in models.listing(home) if not models.errors(facts)]


def fitting(home: Home, model: str) -> list[AdapterFacts]:
    """The library's adapters that belong on this model, the latest first; reads headers only."""
    base = models.inspect(Path(model))
    return [facts for facts in adapters.listing(home) if _fits(facts, base)]


def _fits(facts: AdapterFacts, base: ModelFacts) -> bool:
    if facts.problem:
        return False
    if facts.base_digest and facts.base_digest == base.digest:
        return True
    try:
        adapter_files.check_shapes(Path(facts.path), Path(base.path))
    except StudioError:
        return False
    return True
