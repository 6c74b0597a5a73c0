"""Who is spoken to: a model, and for each column the bare model, an adapter or a GGUF file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.core.chats import BARE_NAME
from studio.library import gguf_files, mixing
from studio.library.adapters import AdapterFacts
from studio.ui.widgets import Button, ComboBox, IconButton, clear, column, label, row

BARE = ""
MOST = 4
MODEL = -1
"""Stands for the model where a column is named."""
_ANOTHER = "another GGUF file"
_ITSELF = "The file itself"
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
    file_wanted = Signal(int)
    """A GGUF file is to be picked for this column, or for `MODEL`."""

    def __init__(self) -> None:
        super().__init__()
        self._adapters: list[AdapterFacts] = []
        self._files: list[str] = []
        self._boxes: list[ComboBox] = []
        self.model = ComboBox("Model")
        self._model = ""
        _between(self.model, _LEAST_WIDTH, _MODEL_WIDTH)
        self.model.chosen.connect(self._model_picked)
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
        above.addWidget(self.model, 5)
        above.addSpacing(8)
        above.addLayout(self._row, 3)
        above.addWidget(self.add)
        above.addWidget(self.blind)
        above.addStretch(0)
        self._whole = column(above, self._below, spacing=8)
        self.setLayout(self._whole)
        self.set_sides([BARE])

    def set_models(self, found: Sequence[tuple[str, str]]) -> None:
        """Offer these (folder or GGUF file, name); the choice stays if it is still there."""
        self.model.set_choices([*found, _another()] if found else ())
        self._model = self.model.value()

    def show_model(self, folder: str) -> None:
        """Choose a model, offering it if it isn't among the known ones. No signal."""
        if self.model.findData(folder) < 0:
            self.model.insertItem(max(0, self.model.count() - 1), Path(folder).name, folder)
        self.model.set_value(folder)
        self._model = folder

    def put(self, column: int, side: str) -> None:
        """Have this side answer in a column, or be the model."""
        if column == MODEL:
            self.show_model(side)
            self.model_chosen.emit(side)
            return
        sides = self.sides()
        if column < len(sides) and sides[column] != side:
            sides[column] = side
            self.set_sides(sides)
            self.sides_chosen.emit()

    def set_adapters(self, found: Sequence[AdapterFacts], files: Sequence[str] = ()) -> None:
        """Offer these adapters and GGUF files; sides whose adapter is gone fall back to the bare
        model."""
        if (list(found), list(files)) == (self._adapters, self._files):
            return
        lost = {facts.path for facts in self._adapters} - {facts.path for facts in found}
        self._adapters, self._files = list(found), list(files)
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
        self.add.setEnabled(bool(self._adapters or self._files) or list(wanted) != [BARE])
        self.blind.setVisible(len(self._boxes) > 1)

    def name(self, side: str) -> str:
        """What to call a side."""
        if file := gguf_files.called(side, self.model.value()):
            return file
        named = next((facts.name for facts in self._adapters if facts.path == side), "")
        return named or (mixing.called(side) if side else BARE_NAME)

    def datasets(self) -> set[str]:
        """What the chosen adapters were trained on."""
        chosen = set(self.sides())
        return {facts.dataset for facts in self._adapters if facts.path in chosen}

    def _side(self, number: int, side: str, several: bool, most: int) -> QHBoxLayout:
        offered = [BARE, *(facts.path for facts in self._adapters), *self._files]
        if side not in offered:
            offered.append(side)
        choices = [(each, self.name(each).removesuffix(gguf_files.SUFFIX)) for each in offered]
        if gguf_files.names_file(self.model.value()) and not several:
            choices[0] = (BARE, _ITSELF)
        if self.model.count():
            choices.append(_another())
        box = ComboBox(f"Adapter of column {number + 1}" if several else "Adapter", choices)
        _between(box, _LEAST_WIDTH, most)
        box.set_value(side)
        box.chosen.connect(lambda chosen: self._picked(number, side, chosen))
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

    def _picked(self, number: int, before: str, chosen: str) -> None:
        if chosen == _ANOTHER:
            self._boxes[number].set_value(before)
            self.file_wanted.emit(number)
        else:
            self.set_sides(self.sides())
            self.sides_chosen.emit()

    def _model_picked(self, chosen: str) -> None:
        if chosen == _ANOTHER:
            self.model.set_value(self._model)
            self.file_wanted.emit(MODEL)
        else:
            self._model = chosen
            self.model_chosen.emit(chosen)

    def _add(self) -> None:
        taken = self.sides()
        offered = [*(facts.path for facts in self._adapters), *self._files]
        free = [each for each in offered if each not in taken]
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


def _another() -> tuple[str, str]:
    return _ANOTHER, "GGUF file\N{HORIZONTAL ELLIPSIS}"
