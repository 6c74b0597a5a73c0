"""How the adapters are put together: a card for each method, and the settings that count."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QWidget

from studio.core.mixing import METHODS, WHOLE_LAYERS, Method, Mix, method
from studio.core.problem import Problem
from studio.ui.widgets import (
    Card,
    Field,
    NumberEdit,
    OptionCard,
    ProblemList,
    SettingRow,
    Switch,
    grid,
    label,
    row,
)

SHOWN = tuple(each for each in METHODS.values() if not (each.compressed and each.pruned))


class MethodCard(Card):
    """One method of each kind; a switch puts those that prune on whole layers."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__(spacing=12)
        self.cards = {each.name: _card(each) for each in SHOWN}
        group = QButtonGroup(self)
        for card in self.cards.values():
            group.addButton(card)
            card.clicked.connect(self._picked)
        self.cards["cat"].setChecked(True)
        self.when = label("", "sub", wrap=True)
        self.whole = Switch("On whole layers")
        self.whole_row = SettingRow("On whole layers", WHOLE_LAYERS, self.whole)
        self.density = NumberEdit("Density", minimum=-10, maximum=10, step=0.05)
        self.rank = NumberEdit("Rank", whole=True, minimum=-1, empty=0, placeholder="the largest")
        self.seed = NumberEdit("Seed", whole=True)
        kept = "The share of each adapter that is kept."
        rank = "Of the result; empty: the largest of theirs."
        seed = "For what is dropped at random."
        self.fields = {
            "density": Field("Kept", self.density, kept),
            "rank": Field("Rank", self.rank, rank),
            "seed": Field("Seed", self.seed, seed),
        }
        self.problems = ProblemList()
        settings = row(*self.fields.values(), None, spacing=16)
        self._settings = QWidget()
        self._settings.setLayout(settings)
        self.add(label("Method", "h2"), grid(2, *self.cards.values()), self.when, self.whole_row)
        self.add(self._settings, self.problems)
        self.density.set_number(0.5)
        self.seed.set_number(0)
        self.whole.toggled.connect(self._picked)
        for edit in (self.density, self.rank, self.seed):
            edit.setMaximumWidth(180)
            edit.number_changed.connect(lambda _: self.changed.emit())
        self._settle()

    def chosen(self) -> Method:
        """The method as the cards and the switch have it."""
        name = next(name for name, card in self.cards.items() if card.isChecked())
        one = METHODS[name]
        return METHODS[one.whole] if one.whole and self.whole.isChecked() else one

    def into(self, mix: Mix) -> Mix:
        """The mix with this method and its settings; what can't be read is a problem later."""
        density, rank, seed = self.density.number(), self.rank.number(), self.seed.number()
        return msgspec.structs.replace(
            mix,
            method=self.chosen().name,
            density=0.0 if density is None else float(density),
            rank=-1 if rank is None else int(rank),
            seed=int(seed or 0),
        )

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Each beside its setting, those of the method under the cards."""
        for name, field in self.fields.items():
            field.show_problems([each for each in problems if each.field == name])
        own = [each for each in problems if each.field in ("method", "sign")]
        self.problems.show_problems(own)
        self.problems.setVisible(bool(own))

    def _picked(self) -> None:
        self._settle()
        self.changed.emit()

    def _settle(self) -> None:
        one = self.chosen()
        plain = method(next(name for name, card in self.cards.items() if card.isChecked()))
        self.when.setText(plain.when + (f" Source: {plain.source}." if plain.source else ""))
        self.whole_row.setVisible(bool(plain.whole))
        for name, field in self.fields.items():
            field.setVisible(name in one.settings)
        self._settings.setVisible(any(name in one.settings for name in self.fields))
        self.problems.hide()


def _card(one: Method) -> OptionCard:
    made = OptionCard(one.title, one.does, height=96)
    if one.exact:
        made.set_pills([("exact", "ok")])
    return made
