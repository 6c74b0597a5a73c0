"""The rules while training, by clicks and keys: saved at once, and marked where they can't work."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from studio.core.facts import Gpu, Machine
from studio.core.guard import Rules
from studio.library import settings
from studio.library.folders import Home
from studio.ui.pages.settings.guard import GuardCard
from studio.ui.pages.settings.hours import clock
from studio.ui.session import Session
from studio.ui.widgets import Pill
from tests.ui.show import Show

pytestmark = pytest.mark.gui
GPU = Gpu(
    index=0, name="Card", total_bytes=8 << 30, used_bytes=0, free_bytes=8 << 30, temperature=50
)
LAPTOP = Machine(gpus=(GPU,), on_battery=False, abilities=("keep-awake", "sleep"))


@pytest.fixture
def card(session: Session, show: Show) -> GuardCard:
    session.machine = LAPTOP
    made = GuardCard(session)
    made.resize(736, 500)
    show(made)
    return made


def saved(home: Home, qtbot: QtBot, **wanted: object) -> None:
    qtbot.waitUntil(
        lambda: all(getattr(settings.load(home).guard, k) == v for k, v in wanted.items())
    )


def type_in(qtbot: QtBot, edit: QLineEdit, text: str) -> None:
    edit.setFocus()
    edit.selectAll()
    qtbot.keyClick(edit, Qt.Key.Key_Delete)
    qtbot.keyClicks(edit, text)
    qtbot.keyClick(edit, Qt.Key.Key_Return)


def test_switches_hold_at_once(card: GuardCard, home: Home, qtbot: QtBot) -> None:
    for switch, rule in ((card.game, "game_mode"), (card.battery, "on_battery")):
        switch.setFocus()
        qtbot.keyClick(switch, Qt.Key.Key_Space)
        saved(home, qtbot, **{rule: True})
    qtbot.mouseClick(card.awake, Qt.MouseButton.LeftButton)
    saved(home, qtbot, keep_awake=False, game_mode=True, on_battery=True)


def test_a_temperature_or_never(card: GuardCard, home: Home, qtbot: QtBot) -> None:
    type_in(qtbot, card.heat, "83")
    saved(home, qtbot, hot_celsius=83)
    type_in(qtbot, card.heat, "9000")
    assert "9000" in card.heat.accessibleDescription()
    assert settings.load(home).guard.hot_celsius == 83
    type_in(qtbot, card.heat, "")
    saved(home, qtbot, hot_celsius=0)
    assert "cooled down" in card.heat.accessibleDescription()


def test_hours_are_kept_in_one_form(card: GuardCard, home: Home, qtbot: QtBot) -> None:
    type_in(qtbot, card.hours.begin, "22")
    assert settings.load(home).guard.hours == ""
    type_in(qtbot, card.hours.end, "8.30")
    saved(home, qtbot, hours="22:00-08:30")
    assert card.hours.end.text() == "08:30"
    type_in(qtbot, card.hours.begin, "late")
    assert "“late” is no time" in card.hours.accessibleDescription()
    assert settings.load(home).guard.hours == "22:00-08:30"
    type_in(qtbot, card.hours.begin, "8:30")
    assert "same times" in card.hours.accessibleDescription()
    for edit in (card.hours.begin, card.hours.end):
        type_in(qtbot, edit, "")
    saved(home, qtbot, hours="")


@pytest.mark.parametrize(
    ("text", "wanted"), [("8", "08:00"), ("23:59", "23:59"), ("24", None), ("8:60", None)]
)
def test_times_of_day(text: str, wanted: str | None) -> None:
    assert clock(text) == wanted


def test_what_this_machine_cannot_do_is_marked(card: GuardCard, session: Session) -> None:
    assert card.game.isEnabled()
    assert marks(card) == []
    session._machine(Machine())
    assert marks(card) == ["No NVIDIA card", "No NVIDIA card", "No battery", "Not with this system"]
    for control in (card.game, card.heat, card.battery, card.awake):
        assert not control.isEnabled()
        assert control.accessibleDescription()
    assert card.hours.isEnabled()
    silent = Gpu(index=0, name="Card", total_bytes=1, used_bytes=0, free_bytes=1)
    session._machine(Machine(gpus=(silent,), on_battery=True, abilities=("keep-awake",)))
    assert marks(card) == ["Not told by this card"]


def marks(card: GuardCard) -> list[str]:
    return [pill.text() for pill in card.findChildren(Pill) if pill.isVisible()]


def test_it_shows_what_was_set_elsewhere(card: GuardCard, session: Session) -> None:
    session.change_settings(guard=Rules(game_mode=True, hot_celsius=70, hours="01:00-02:00"))
    assert card.game.isChecked()
    assert card.heat.text() == "70"
    assert card.hours.begin.text() == "01:00"
