"""When a run pauses by itself, and that the computer stays awake for it."""

from __future__ import annotations

from typing import Any

import msgspec

from studio.core.facts import Machine
from studio.ui.pages.settings.hours import HoursEdit
from studio.ui.session import Session
from studio.ui.widgets import Card, NumberEdit, Separator, SettingRow, Switch, label

COOLEST, HOTTEST = 40, 110
NO_CARD = "No NVIDIA card"


class GuardCard(Card):
    """The rules of `core.guard`; what this machine can't tell is shown and can't be set."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=14)
        self._session = session
        self._here: dict[str, str] = {}
        self.game = Switch("Pause for games")
        self.heat = NumberEdit(
            "Pause above, °C",
            whole=True,
            minimum=COOLEST,
            maximum=HOTTEST,
            empty=0,
            placeholder="Never",
        )
        self.heat.setFixedWidth(96)
        self.battery = Switch("Pause on battery")
        self.hours = HoursEdit()
        self.awake = Switch("Keep the computer awake")
        self.rows = self._rows()
        self.add(label("While training", "h2"))
        self.add(label("A run that pauses by itself is saved and goes on by itself.", "sub"))
        for index, line in enumerate(self.rows.values()):
            self.add(*([Separator()] if index else []), line)
        self._connect()
        self.refresh()
        self.show_machine(session.machine)

    def _rows(self) -> dict[str, SettingRow]:
        return {
            "game_mode": SettingRow(
                "Pause for games",
                "When another program takes the card's memory, the run gives its own back and "
                "waits until the other program is gone.",
                self.game,
            ),
            "hot_celsius": SettingRow(
                "Pause above this temperature (°C)",
                "The run waits until the card has cooled down. Empty is never.",
                self.heat,
            ),
            "on_battery": SettingRow(
                "Pause on battery", "The run waits until the machine is plugged in.", self.battery
            ),
            "hours": SettingRow(
                "Train only at these hours",
                "Outside of them runs wait, also over midnight. Empty is always.",
                self.hours,
            ),
            "keep_awake": SettingRow(
                "Keep the computer awake",
                "It doesn't go to sleep by itself while a run trains. The screen may turn off.",
                self.awake,
            ),
        }

    def _connect(self) -> None:
        self.game.toggled.connect(lambda on: self._set(game_mode=on))
        self.battery.toggled.connect(lambda on: self._set(on_battery=on))
        self.awake.toggled.connect(lambda on: self._set(keep_awake=on))
        self.heat.editingFinished.connect(self._save_heat)
        self.hours.changed.connect(lambda hours: self._set(hours=hours))
        self.hours.wrong.connect(lambda why: self.rows["hours"].explain(why, "err"))
        self._session.settings_changed.connect(self.refresh)
        self._session.machine_changed.connect(self.show_machine)

    def refresh(self) -> None:
        """Show what is set."""
        rules = self._session.settings.guard
        for switch, on in (
            (self.game, rules.game_mode),
            (self.battery, rules.on_battery),
            (self.awake, rules.keep_awake),
        ):
            switch.blockSignals(True)
            switch.setChecked(on)
            switch.blockSignals(False)
        self.heat.set_number(rules.hot_celsius)
        self.hours.set_hours(rules.hours)

    def show_machine(self, machine: Machine | None) -> None:
        """Mark what this machine can't do."""
        if machine is None:
            return
        cards = machine.gpus
        hot = NO_CARD if not cards else ""
        if cards and cards[0].temperature is None:
            hot = "Not told by this card"
        here = {
            "game_mode": "" if cards else NO_CARD,
            "hot_celsius": hot,
            "on_battery": "No battery" if machine.on_battery is None else "",
            "keep_awake": "" if "keep-awake" in machine.abilities else "Not with this system",
        }
        if here != self._here:
            self._here = here
            for name, why in here.items():
                self.rows[name].block(why)

    def _save_heat(self) -> None:
        number = self.heat.number()
        if number is None:
            text = self.heat.text()
            self.rows["hot_celsius"].explain(
                f"“{text}” is no temperature from {COOLEST} to {HOTTEST} °C.", "err"
            )
            return
        self.rows["hot_celsius"].explain()
        self._set(hot_celsius=int(number))

    def _set(self, **changes: Any) -> None:
        rules = msgspec.structs.replace(self._session.settings.guard, **changes)
        if rules != self._session.settings.guard:
            self._session.change_settings(guard=rules)
