"""On which card the estimate looks: one of this machine's, or one that somebody plans for."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from studio.core import cards as facts
from studio.core.cards import KnownCard
from studio.core.facts import Machine
from studio.library import cards
from studio.ui import format as say
from studio.ui.pages.new_run.surroundings import Surroundings, short_name
from studio.ui.session import Session
from studio.ui.widgets import Button, Card, ComboBox, NumberEdit, column, label, row

HERE, OTHER_SIZE = "here", "size"
PLANNING = "Planning for a card you don't have. Starting still checks this machine."
SMALLEST, LARGEST, USUAL = 1.0, 640.0, 12.0

Plan = Callable[[KnownCard | None], None]


class CardChooser(QWidget):
    """This machine's cards first, then known cards, then any size; what isn't here is marked."""

    def __init__(self, session: Session, around: Surroundings, plan: Plan) -> None:
        """`plan` is called with the card to plan for, None for this machine's own."""
        super().__init__()
        self._session, self._around, self._plan_for = session, around, plan
        self._known: tuple[KnownCard, ...] = ()
        self._shown: tuple[object, ...] = ()
        self.box = ComboBox("The card to estimate for")
        self.box.setStyleSheet("combobox-popup: 0")  # a list that scrolls, not one of all cards
        self.box.setMaxVisibleItems(14)
        self.box.chosen.connect(self._chosen)
        self.gigabytes = NumberEdit("Size of the card, GB", minimum=SMALLEST, maximum=LARGEST)
        self.gigabytes.setFixedWidth(72)
        self.gigabytes.number_changed.connect(self._sized)
        self._size_line = QWidget()
        self._size_line.setLayout(row(self.gigabytes, label("GB of graphics memory", "sub"), None))
        self._about = label(PLANNING, "", wrap=True)
        self.back = Button("Back to this machine", "link")
        self.back.clicked.connect(lambda: self._chosen(HERE))
        self._plan = Card("raised", margin=10, spacing=4)
        self._plan.add(self._about, row(self.back, None, spacing=0))
        self.setLayout(column(self.box, self._size_line, self._plan, spacing=8))
        self._size_line.hide()
        session.background(cards.known, done=self._found)
        self.refresh()

    def refresh(self) -> None:
        """Show this machine's cards and what is chosen."""
        machine, planned = self._around.machine, self._around.planned
        here = _own(machine)
        if (here, self._known) != self._shown:
            self._shown = here, self._known
            known = [(card.name, _named(card)) for card in self._known]
            self.box.set_choices([*here, *known, (OTHER_SIZE, "Another size")])
        self.box.set_value(self._value(machine, planned))
        self._plan.setVisible(planned is not None)

    def _value(self, machine: Machine | None, planned: KnownCard | None) -> str:
        if planned is not None:
            known = any(card.name == planned.name for card in self._known)
            return planned.name if known else OTHER_SIZE
        if machine is None or len(machine.gpus) < 2:
            return HERE
        return _own(machine)[machine.card][0]

    def _found(self, known: tuple[KnownCard, ...]) -> None:
        self._known = known
        self.refresh()

    def _chosen(self, value: str) -> None:
        self._size_line.setVisible(value == OTHER_SIZE)
        if value == OTHER_SIZE:
            self.gigabytes.set_number(self.gigabytes.number() or USUAL)
            self._sized(self.gigabytes.number())
            self.gigabytes.setFocus()
        elif card := next((card for card in self._known if card.name == value), None):
            self._plan_for(card)
        else:
            self._use_own(value)

    def _use_own(self, value: str) -> None:
        if value.startswith(f"{HERE}:"):
            self._session.change_settings(card=value.removeprefix(f"{HERE}:"))
        self._plan_for(None)

    def _sized(self, gigabytes: float | None) -> None:
        if gigabytes:
            self._plan_for(facts.of_size(gigabytes))


def _own(machine: Machine | None) -> tuple[tuple[str, str], ...]:
    """(value, text) for each card of this machine, or for its memory."""
    if machine is None:
        return ((HERE, "This machine"),)
    if len(machine.gpus) > 1:
        return tuple(
            (f"{HERE}:{gpu.uuid or gpu.index}", f"{short_name(gpu.name)} (card {gpu.index})")
            for gpu in machine.gpus
        )
    if machine.gpus:
        gpu = machine.gpus[0]
        return ((HERE, f"This machine: {short_name(gpu.name)}"),)
    return ((HERE, f"This machine: processor, {say.whole(machine.ram_total_bytes)}"),)


def _named(card: KnownCard) -> str:
    name = short_name(card.name)
    return name if name.endswith("GB") else f"{name}, {card.gigabytes:g} GB"
