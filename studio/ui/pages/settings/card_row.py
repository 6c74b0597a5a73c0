"""Which of several cards trains; hidden where there is one or none."""

from __future__ import annotations

from studio.core.facts import Machine
from studio.ui import format as say
from studio.ui.session import Session
from studio.ui.widgets import ComboBox, SettingRow

MOST_ROOM = ""


class CardRow(SettingRow):
    """The cards of this machine, or the one with the most free memory whenever a run starts."""

    def __init__(self, session: Session) -> None:
        self.box = ComboBox("Card to train on")
        super().__init__("Card to train on", "Runs that are at work stay where they are.", self.box)
        self._session = session
        self._cards: tuple[tuple[str, str], ...] = ()
        self.box.setMinimumWidth(260)
        self.box.chosen.connect(lambda card: session.change_settings(card=card))
        session.machine_changed.connect(self.show_machine)
        session.settings_changed.connect(self._show_chosen)
        self.show_machine(session.machine)

    def show_machine(self, machine: Machine | None) -> None:
        """Offer the cards that there are now."""
        cards = machine.gpus if machine else ()
        offered = tuple(
            (gpu.uuid or str(gpu.index), f"{gpu.name}, {say.whole(gpu.total_bytes)}")
            for gpu in cards
        )
        self.setVisible(len(cards) > 1)
        if offered != self._cards:
            self._cards = offered
            self.box.set_choices([(MOST_ROOM, "The one with the most free memory"), *offered])
            self._show_chosen()

    def _show_chosen(self) -> None:
        self.box.set_value(self._session.settings.card)
