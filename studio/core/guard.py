"""When a run pauses by itself, and when it goes on: rules, readings, and the decision."""

from __future__ import annotations

import datetime
from typing import Literal, NamedTuple, get_args

import msgspec

from studio.core.errors import StudioError
from studio.core.run_state import RunState

Reason = Literal["game", "heat", "battery", "hours"]
REASONS: tuple[Reason, ...] = get_args(Reason)
REASON_WORDS = {
    "game": "a game or another program uses the card's memory",
    "heat": "the card is too hot",
    "battery": "this machine runs on battery",
    "hours": "these are not the hours for training",
    "disk": "the disk is nearly full",
}
"""What keeps a run paused, to follow “waits: ”; "disk" is the one it doesn't end by itself."""

GAME_BYTES, GAME_GONE_BYTES = 1 << 30, 1 << 29
"""A game takes 1 GiB of the card and mostly far more; browsers and video players come and go with
some hundred megabytes, which a run need not mind."""
COOLER_CELSIUS = 10
"""A card that goes on as soon as it is below the limit would be over it again in seconds."""


class _Patience(NamedTuple):
    begins: float
    ends: float


_SECONDS: dict[Reason, _Patience] = {
    # a loading screen fills the card within seconds; between two matches it stays full
    "game": _Patience(5.0, 30.0),
    # one hot reading is a spike of a sensor; fans and metal take a minute to follow
    "heat": _Patience(10.0, 60.0),
    # a plug is sometimes only moved
    "battery": _Patience(10.0, 10.0),
    "hours": _Patience(0.0, 0.0),
}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the user wants looked after; all of it off but keeping the machine awake.

    `game_mode`: pause while another program takes the card's memory. `hot_celsius`: pause above
    this temperature of the card; 0 is off. `on_battery`: pause while the machine runs on battery.
    `hours`: train only between these times of day, "22:00-08:00"; empty is always.
    """

    game_mode: bool = False
    hot_celsius: int = 0
    on_battery: bool = False
    hours: str = ""
    keep_awake: bool = True


class Hours(msgspec.Struct, frozen=True):
    """A part of the day by the wall clock, over midnight where it ends before it begins.

    When summer time begins or ends it follows the clock on the wall: an hour that is left out
    holds no training, one that comes twice counts twice.
    """

    begin: datetime.time
    end: datetime.time

    def __contains__(self, at: datetime.time) -> bool:
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


def hours(text: str) -> Hours | None:
    """The hours that "22:00-08:00" or "22-8" means, None for "" (always); raises StudioError."""
    if not text.strip():
        return None
    begin, dash, end = text.replace("–", "-").partition("-")
    found = _time(begin), _time(end)
    if not dash or found[0] is None or found[1] is None or found[0] == found[1]:
        raise StudioError(
            "No hours of the day",
            f"“{text}” is not a beginning and a different end.",
            "Write them like 22:00-08:00; an end before the beginning is on the next day.",
        )
    return Hours(found[0], found[1])


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found just now; None is not known. `grown_bytes` is what other programs hold of a
    card beyond what they held when training began, `celsius` the hottest card's temperature,
    `clock` the local time of day."""

    clock: datetime.time
    grown_bytes: int | None = None
    celsius: int | None = None
    on_battery: bool | None = None


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """The reasons to pause that hold, and since when the others (or their end) have been seen."""

    reasons: tuple[Reason, ...] = ()
    turning: dict[Reason, float] = {}


def watches(rules: Rules, reason: Reason) -> bool:
    """Whether the user wants this looked after."""
    match reason:
        case "game":
            return rules.game_mode
        case "heat":
            return rules.hot_celsius > 0
        case "battery":
            return rules.on_battery
        case "hours":
            return bool(rules.hours)


def look(
    before: Holding, rules: Rules, readings: Readings, now: float, pace: float = 1.0
) -> Holding:
    """What holds after one more look at `now`, in seconds of a clock that only goes forward.

    A reason holds once it was seen all the time for a while, and ends once it was not for another
    while; a rule that is switched off ends it at once. `pace` multiplies these times.
    """
    reasons: list[Reason] = []
    turning: dict[Reason, float] = {}
    for reason in REASONS:
        held = reason in before.reasons
        if not watches(rules, reason):
            continue
        if _seen(reason, rules, readings, held) != held:
            since = before.turning.get(reason, now)
            patience = _SECONDS[reason].ends if held else _SECONDS[reason].begins
            if now - since >= patience * pace:
                held = not held
            else:
                turning[reason] = since
        if held:
            reasons.append(reason)
    return Holding(reasons=tuple(reasons), turning=turning)


def waits(state: RunState) -> bool:
    """Whether the run goes on by itself once the reason of its pause is gone."""
    return state.state == "paused" and state.pause_reason in REASONS


def headline(state: RunState) -> str:
    """Why a run that the studio paused stands still, "waits: …"; empty for any other."""
    if state.state != "paused" or not state.pause_reason:
        return ""
    words = REASON_WORDS.get(state.pause_reason, "the studio paused it")
    return f"{'waits' if waits(state) else 'paused'}: {words}"


def _seen(reason: Reason, rules: Rules, readings: Readings, held: bool) -> bool:
    """Whether a look shows the reason; what can't be known pauses nothing."""
    match reason:
        case "game":
            least = GAME_GONE_BYTES if held else GAME_BYTES
            return readings.grown_bytes is not None and readings.grown_bytes >= least
        case "heat":
            limit = rules.hot_celsius - (COOLER_CELSIUS if held else 0)
            return readings.celsius is not None and readings.celsius > limit
        case "battery":
            return readings.on_battery is True
        case "hours":
            try:
                wanted = hours(rules.hours)
            except StudioError:  # edited by hand
                return False
            return wanted is not None and readings.clock not in wanted


def _time(text: str) -> datetime.time | None:
    hour, _, minute = text.strip().partition(":")
    try:
        found = int(hour), int(minute or 0)
        return datetime.time() if found == (24, 0) else datetime.time(*found)
    except ValueError:
        return None
