"""The adapters of a mix: a slider and a number for each, and what is wrong with it beneath."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from studio.core.mixing import Ingredient
from studio.core.problem import Problem
from studio.library.adapters import AdapterFacts
from studio.ui.tables.adapters import DOT, dataset_name, method
from studio.ui.theme import SERIES, theme
from studio.ui.widgets import (
    Card,
    ComboBox,
    ElidedLabel,
    IconButton,
    NumberEdit,
    ProblemList,
    column,
    label,
    row,
)

LEAST, MOST = -1.0, 2.0
"""What a slider reaches; the number beside it goes further."""
STEPS = 100
NAME_WIDTH = 170
MORE_WIDTH = 176


class Portion(QWidget):
    """One adapter: how strongly it counts."""

    changed = Signal()
    unwanted = Signal()

    def __init__(self, facts: AdapterFacts, weight: float, token: str) -> None:
        super().__init__()
        self.facts = facts
        self.slider = WeightSlider(f"Weight of {facts.name}")
        self.number = NumberEdit(
            f"Weight of {facts.name}, typed", minimum=-10, maximum=10, step=0.05
        )
        self.number.setFixedWidth(72)
        self.remove = IconButton("x", f"Leave {facts.name} out")
        self.problems = ProblemList()
        name = ElidedLabel(facts.name, "b", Qt.TextElideMode.ElideRight)
        known = (method(facts) if facts.rank else "", dataset_name(facts))
        about = ElidedLabel(DOT.join(each for each in known if each), "mute")
        about.setVisible(any(known))
        names = QWidget()
        names.setLayout(column(name, about, spacing=2))
        names.setFixedWidth(NAME_WIDTH)
        line = row(Dot(token), names, self.slider, self.number, self.remove, spacing=12)
        line.setStretch(2, 1)
        self.setLayout(column(line, self.problems, spacing=8))
        self.set_weight(weight)
        self.show_problems(())
        self.slider.valueChanged.connect(self._slid)
        self.number.number_changed.connect(self._typed)
        self.remove.clicked.connect(self.unwanted)

    def weight(self) -> float:
        """The number as it stands; NaN where what is typed is none."""
        typed = self.number.number()
        return float("nan") if typed is None else float(typed)

    def set_weight(self, weight: float) -> None:
        """Show a weight without a signal."""
        self.number.set_number(round(weight, 4))
        self._show(weight)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        self.problems.show_problems(problems)
        self.problems.setVisible(bool(problems))

    def _show(self, weight: float) -> None:
        blocked = self.slider.blockSignals(True)
        self.slider.setValue(round(weight * STEPS))
        self.slider.blockSignals(blocked)

    def _slid(self, value: int) -> None:
        self.number.set_number(value / STEPS)
        self.changed.emit()

    def _typed(self, number: float | None) -> None:
        if number is not None:
            self._show(number)
        self.changed.emit()


class Portions(Card):
    """All of them, and a list to add another from."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__(spacing=14)
        self._rows: list[Portion] = []
        self._known: list[AdapterFacts] = []
        self.more = ComboBox("Add an adapter")
        self.more.setMinimumWidth(MORE_WIDTH)
        self.more.chosen.connect(self._chosen)
        self.problems = ProblemList()
        self._lines = column(spacing=14)
        self._empty = label("Add the first adapter.", "mute")
        self.add(
            row(label("Adapters", "h2"), None, self.more), self._empty, self._lines, self.problems
        )
        self._settle()

    @property
    def rows(self) -> list[Portion]:
        """One for each adapter, in order."""
        return list(self._rows)

    def ingredients(self) -> tuple[Ingredient, ...]:
        """The adapters with their weights, as a recipe has them."""
        return tuple(
            Ingredient(adapter=one.facts.path, weight=one.weight(), name=one.facts.name)
            for one in self._rows
        )

    def set_known(self, known: Sequence[AdapterFacts]) -> None:
        """All adapters of the library, to add from; those that are gone leave the mix."""
        self._known = [facts for facts in known if not facts.problem]
        there = {facts.path for facts in known}
        for one in self.rows:
            if one.facts.path not in there:
                self._remove(one)
        self._settle()

    def start(self, chosen: Sequence[AdapterFacts]) -> None:
        """A new mix of these, in equal parts of 1."""
        for one in self.rows:
            self._remove(one)
        for facts in chosen:
            self._append(facts, round(1.0 / len(chosen), 2))
        self._settle()
        self.changed.emit()

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Each beside the adapter it is of; those of all of them at the end."""
        for at, one in enumerate(self._rows):
            one.show_problems([each for each in problems if each.field == f"adapters.{at}"])
        common = [each for each in problems if each.field == "adapters"]
        self.problems.show_problems(common)
        self.problems.setVisible(bool(common))

    def _chosen(self, path: str) -> None:
        facts = next((each for each in self._known if each.path == path), None)
        if facts is not None:
            self._append(facts, 0.5)
            self._settle()
            self.changed.emit()

    def _append(self, facts: AdapterFacts, weight: float) -> None:
        one = Portion(facts, weight, SERIES[len(self._rows) % len(SERIES)])
        one.changed.connect(self.changed)
        one.unwanted.connect(lambda: self._leave_out(one))
        self._rows.append(one)
        self._lines.addWidget(one)

    def _leave_out(self, one: Portion) -> None:
        kept = [(each.facts, each.weight()) for each in self._rows if each is not one]
        for each in self.rows:
            self._remove(each)
        for facts, weight in kept:
            self._append(facts, weight)
        self._settle()
        self.changed.emit()

    def _remove(self, one: Portion) -> None:
        self._rows.remove(one)
        self._lines.removeWidget(one)
        one.hide()
        one.deleteLater()

    def _settle(self) -> None:
        taken = {one.facts.path for one in self._rows}
        digests = {one.facts.base_digest for one in self._rows if one.facts.base_digest}
        offered = [each for each in self._known if each.path not in taken and _fits(each, digests)]
        choices = [("", "Add an adapter"), *((each.path, each.name) for each in offered)]
        self.more.set_choices(choices)
        self.more.set_value("")
        self.more.setEnabled(bool(offered))
        self._empty.setVisible(not self._rows)
        self.problems.setVisible(False)


class WeightSlider(QSlider):
    """From -1 to 2, with marks at 0 and 1; the wheel scrolls the page instead."""

    def __init__(self, name: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setAccessibleName(name)
        self.setRange(round(LEAST * STEPS), round(MOST * STEPS))
        self.setSingleStep(5)
        self.setPageStep(25)
        self.setMinimumWidth(92)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(220, 30)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(theme().color("line2"))
        for mark in (0.0, 1.0):
            share = (mark - LEAST) / (MOST - LEAST)
            place = 7 + share * (self.width() - 14)
            painter.drawLine(int(place), 3, int(place), self.height() - 4)
        painter.end()
        super().paintEvent(event)


class Dot(QWidget):
    """The colour that an adapter has in the picture."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.setFixedSize(12, 12)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(self._token))
        painter.drawEllipse(self.rect().adjusted(1, 1, -1, -1))


def _fits(facts: AdapterFacts, digests: set[str]) -> bool:
    """Whether an adapter may be of the same base; one whose base isn't known may."""
    return not digests or not facts.base_digest or facts.base_digest in digests
