"""When a run pauses by itself: the hours of the day, and each reason's beginning and end."""

from __future__ import annotations

import datetime
import itertools
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import pytest

from studio.core import guard
from studio.core.errors import StudioError
from studio.core.guard import GAME_BYTES, GAME_GONE_BYTES, Holding, Readings, Reason, Rules, hours
from studio.core.run_state import RunState

NOON = datetime.time(12)
ALL = Rules(game_mode=True, hot_celsius=80, on_battery=True, hours="22:00-08:00")
CALM = Readings(clock=datetime.time(23), grown_bytes=0, celsius=50, on_battery=False)


def clock(text: str) -> datetime.time:
    return datetime.time.fromisoformat(text)


class Watcher:
    """Looks every second with a clock of its own."""

    def __init__(self, rules: Rules = ALL, pace: float = 1.0) -> None:
        self.rules = rules
        self.pace = pace
        self.now = 1000.0
        self.holding = Holding()

    def see(self, seconds: float, **readings: object) -> tuple[Reason, ...]:
        """What holds after these readings were seen for this long, look by look."""
        found = msgspec.structs.replace(CALM, **readings)
        end = self.now + seconds
        while self.now <= end:
            self.holding = guard.look(self.holding, self.rules, found, self.now, self.pace)
            self.now += 1.0
        return self.holding.reasons


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-08:00", ("22:00", "23:59", "00:00", "07:59"), ("08:00", "12:00", "21:59")),
        ("09:30-17:00", ("09:30", "16:59"), ("09:29", "17:00", "00:00")),
        ("22-8", ("22:00", "07:59"), ("08:00", "21:59")),
        ("18:00-24:00", ("18:00", "23:59"), ("00:00", "17:59")),
        (" 22:00 – 08:00 ", ("23:00",), ("09:00",)),
    ],
)
def test_hours_of_the_day(text: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    found = hours(text)
    assert found is not None
    assert all(clock(each) in found for each in inside)
    assert not any(clock(each) in found for each in outside)
    assert hours(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["22:00", "22:00-", "-8:00", "25:00-8:00", "24:30-8:00", "8:61-9", "x-y", "8-8", "8-9-10"],
)
def test_hours_that_are_none_are_refused_with_advice(text: str) -> None:
    with pytest.raises(StudioError, match="22:00-08:00"):
        hours(text)


def test_no_hours_is_always() -> None:
    assert hours("") is None
    assert Watcher(Rules()).see(5, clock=NOON) == ()


@pytest.mark.parametrize(
    ("day", "open_hours"),
    [
        # 02:00-06:00 by the wall: five hours where 02:00-03:00 comes twice, three where it is
        # left out, four on any other night
        ("2026-10-25", 5),
        ("2026-03-29", 3),
        ("2026-07-01", 4),
    ],
)
def test_hours_follow_the_wall_when_summer_time_changes(day: str, open_hours: int) -> None:
    wanted = hours("02:00-06:00")
    assert wanted is not None
    try:
        berlin = ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        pytest.skip("this system has no time zones")
    midnight = datetime.datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=berlin)
    begin = midnight.astimezone(datetime.UTC)
    quarters = (begin + datetime.timedelta(minutes=15 * i) for i in range(4 * 12))
    found = [q.astimezone(berlin).time() in wanted for q in quarters]
    assert sum(found) == 4 * open_hours
    assert sum(a != b for a, b in itertools.pairwise(found)) == 2


def test_hours_end_and_begin_at_the_minute() -> None:
    watcher = Watcher()
    assert watcher.see(0, clock=clock("07:59:59")) == ()
    assert watcher.see(0, clock=clock("08:00")) == ("hours",)
    assert watcher.see(0, clock=clock("21:59:59")) == ("hours",)
    assert watcher.see(0, clock=clock("22:00")) == ()


def test_hours_edited_by_hand_into_nonsense_stop_nothing() -> None:
    assert Watcher(Rules(hours="night")).see(60, clock=NOON) == ()


def test_a_game_counts_after_five_seconds_and_is_gone_after_thirty() -> None:
    watcher = Watcher()
    assert watcher.see(4, grown_bytes=GAME_BYTES) == ()
    assert watcher.see(0, grown_bytes=GAME_BYTES) == ("game",)
    assert watcher.see(29, grown_bytes=0) == ("game",)
    assert watcher.see(0, grown_bytes=0) == ()


def test_what_takes_less_than_a_game_is_none_and_what_is_left_of_one_still_is() -> None:
    watcher = Watcher()
    assert watcher.see(600, grown_bytes=GAME_BYTES - 1) == ()
    watcher.see(5, grown_bytes=GAME_BYTES)
    assert watcher.see(600, grown_bytes=GAME_GONE_BYTES) == ("game",)
    assert watcher.see(30, grown_bytes=GAME_GONE_BYTES - 1) == ()


def test_between_two_matches_nothing_flaps() -> None:
    watcher = Watcher()
    watcher.see(5, grown_bytes=4 * GAME_BYTES)
    for _ in range(5):
        assert watcher.see(25, grown_bytes=0) == ("game",)
        assert watcher.see(1, grown_bytes=4 * GAME_BYTES) == ("game",)
    calm = Watcher()
    for _ in range(5):
        assert calm.see(3, grown_bytes=4 * GAME_BYTES) == ()
        assert calm.see(1, grown_bytes=0) == ()


def test_heat_counts_after_ten_seconds_and_ends_ten_degrees_lower() -> None:
    watcher = Watcher()
    assert watcher.see(600, celsius=80) == ()
    assert watcher.see(9, celsius=81) == ()
    assert watcher.see(0, celsius=81) == ("heat",)
    assert watcher.see(600, celsius=71) == ("heat",)
    assert watcher.see(59, celsius=70) == ("heat",)
    assert watcher.see(0, celsius=70) == ()


def test_a_plug_that_is_only_moved_pauses_nothing() -> None:
    watcher = Watcher()
    assert watcher.see(9, on_battery=True) == ()
    assert watcher.see(0, on_battery=False) == ()
    assert watcher.see(10, on_battery=True) == ("battery",)
    assert watcher.see(9, on_battery=False) == ("battery",)
    assert watcher.see(0, on_battery=False) == ()


def test_only_what_the_user_wants_is_looked_after() -> None:
    worst = {"grown_bytes": 9 * GAME_BYTES, "celsius": 99, "on_battery": True, "clock": NOON}
    assert Watcher(Rules()).see(600, **worst) == ()
    assert Watcher(ALL).see(600, **worst) == guard.REASONS


def test_a_rule_that_is_switched_off_lets_go_at_once() -> None:
    watcher = Watcher()
    watcher.see(10, celsius=95, on_battery=True)
    watcher.rules = msgspec.structs.replace(ALL, hot_celsius=0)
    assert watcher.see(0, celsius=95, on_battery=True) == ("battery",)
    watcher.rules = ALL
    assert watcher.see(0, celsius=95, on_battery=True) == ("battery",)


def test_what_can_not_be_known_pauses_nothing_and_lets_go() -> None:
    unknown = {"grown_bytes": None, "celsius": None, "on_battery": None}
    watcher = Watcher()
    assert watcher.see(600, **unknown) == ()
    watcher.see(10, grown_bytes=GAME_BYTES, celsius=95, on_battery=True)
    assert watcher.see(59, **unknown) == ("heat",)
    assert watcher.see(0, **unknown) == ()


def test_the_pace_shortens_every_wait() -> None:
    watcher = Watcher(pace=0.2)
    assert watcher.see(0, celsius=95) == ()
    assert watcher.see(1, celsius=95) == ("heat",)


def test_a_held_reason_needs_its_whole_calm_also_for_a_new_keeper() -> None:
    watcher = Watcher()
    watcher.holding = Holding(reasons=("game",))
    assert watcher.see(29) == ("game",)
    assert watcher.see(0) == ()


@pytest.mark.parametrize("reason", guard.REASONS)
def test_each_reason_has_words(reason: Reason) -> None:
    state = RunState(state="paused", pause_reason=reason)
    assert guard.waits(state)
    assert guard.headline(state) == f"waits: {guard.REASON_WORDS[reason]}"


def test_what_does_not_wait_says_so() -> None:
    full = RunState(state="paused", pause_reason="disk")
    assert not guard.waits(full)
    assert guard.headline(full) == "paused: the disk is nearly full"
    assert guard.headline(RunState(state="paused")) == ""
    gone_on = RunState(state="running", pause_reason="game")
    assert not guard.waits(gone_on)
    assert guard.headline(gone_on) == ""
