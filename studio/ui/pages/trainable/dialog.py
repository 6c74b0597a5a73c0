"""The dialog: a card, a method, and the models that surely fit, the largest first."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from studio.core import catalogue
from studio.core.advice import METHODS, NAMES
from studio.core.cards import KnownCard
from studio.core.catalogue import Offer
from studio.core.facts import Machine
from studio.core.recipe import Method
from studio.library import catalogue as shelf
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.pages.new_run.fit.card_chooser import CardChooser
from studio.ui.pages.new_run.surroundings import Surroundings
from studio.ui.pages.trainable.offers import OfferLine
from studio.ui.session import Session
from studio.ui.widgets import Button, ScrollArea, Segmented, Separator, clear, label, row

FIRST = 8
Offers = dict[Method, tuple[Offer, ...]]
ABOUT = (
    f"Reckoned for rows of {catalogue.OFFER_LENGTH:,} tokens, with what costs no quality: "
    "recomputed activations, the 8-bit optimizer and one row at a time where they are needed. "
    "Only what stays below the free memory at most is listed."
)


def offers(machine: Machine) -> Offers:
    """What fits by each method, the largest first."""
    return {method: catalogue.largest(machine, shelf.known(), method) for method in METHODS}


class TrainableDialog(QDialog):
    """Answers for this machine's card at first; a model's button takes it into a new run."""

    def __init__(self, session: Session, parent: QWidget | None, method: Method = "qlora") -> None:
        super().__init__(parent)
        self._session = session
        self._around = Surroundings()
        self._task: Task | None = None
        self._offers: Offers = {}
        self._all = False
        self.lines: list[OfferLine] = []
        self.setWindowTitle("What could I train on this card?")
        self.setModal(True)
        self.resize(700, 640)
        self._make(method)
        session.machine_changed.connect(self._machine)
        session.settings_changed.connect(self._settings)
        self._settings()

    def _make(self, method: Method) -> None:
        self.chooser = CardChooser(self._session, self._around, self.plan_for)
        self.method = Segmented("Method", [(each, NAMES[each]) for each in METHODS])
        self.method.set_value(method)
        self.method.selected.connect(self._show_method)
        self._head = label("", "b", wrap=True)
        self._area = ScrollArea((0, 0, 6, 0), spacing=0)
        self.more = Button("", "link")
        self.more.clicked.connect(self._show_all)
        close = Button("Close")
        close.clicked.connect(self.reject)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(12)
        box.addWidget(label("What could I train on this card?", "h2"))
        box.addWidget(self.chooser)
        box.addLayout(row(self.method, None))
        box.addWidget(self._head)
        box.addWidget(self._area, 1)
        box.addWidget(label(ABOUT, "mute", wrap=True))
        box.addLayout(row(self.more, None, close))

    def plan_for(self, card: KnownCard | None) -> None:
        """Answer for this card; None: this machine's."""
        self._around.plan_for(card)
        self.chooser.refresh()
        self._reckon()

    def _settings(self) -> None:
        if self._session.machine is not None:
            self._machine(self._session.machine)
        else:
            self._head.setText("Looking at this machine.")

    def _machine(self, machine: Machine) -> None:
        if self._around.know(machine, self._session.settings.reserve_bytes):
            self.chooser.refresh()
            self._reckon()

    def _reckon(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if (target := self._around.target) is not None:
            self._task = self._session.background(offers, target, done=self._found)

    def _found(self, found: Offers) -> None:
        self._task = None
        self._offers = found
        self._show_method(self.method.value())

    def _show_method(self, method: str) -> None:
        self.method.set_value(method)
        self._all = False
        self._show()

    def _show_all(self) -> None:
        self._all = True
        self._show()

    def _show(self) -> None:
        found = self._offers.get(self.method.value(), ())  # type: ignore[call-overload]
        shown = found if self._all else found[:FIRST]
        clear(self._area.body)
        self.lines = [OfferLine(offer, self._methods(offer)) for offer in shown]
        for index, line in enumerate(self.lines):
            if index:
                self._area.body.addWidget(Separator())
            line.wanted.connect(self._take)
            self._area.body.addWidget(line)
        self._area.body.addStretch(1)
        self._area.verticalScrollBar().setValue(0)
        self._head.setText(self._said(found))
        left = len(found) - len(shown)
        self.more.set_label(f"Show {left} smaller ones" if left else "")
        self.more.setVisible(bool(left))

    def _said(self, found: tuple[Offer, ...]) -> str:
        name = NAMES[self.method.value()]  # type: ignore[index]
        if not found:
            return f"No model of the catalogue surely fits here by {name}."
        first = found[0].model
        return f"The largest by {name}: {first.name}, {say.parameters(first.parameters)} parameters"

    def _methods(self, offer: Offer) -> dict[Method, bool]:
        """By which methods this model fits too."""
        return {
            method: any(each.model.id == offer.model.id for each in self._offers[method])
            for method in METHODS
        }

    def _take(self, model: str) -> None:
        self.accept()
        self._session.model_wanted.emit(model)
