"""Why the studio paused a run by itself, in words for people."""

from __future__ import annotations

from dataclasses import dataclass

from studio.core.guard import REASONS
from studio.core.run_state import RunState


@dataclass(frozen=True)
class Why:
    """`short` follows “Waiting: ”, `word` stands for it where there is no room, and `text` says
    what happens next."""

    short: str
    text: str
    word: str = ""


_WHY = {
    "game": Why(
        "a game or another program uses the card's memory",
        "Everything is saved. It goes on by itself when the memory is free again.",
        "memory in use",
    ),
    "heat": Why(
        "the card is too hot",
        "Everything is saved. It goes on by itself when the card has cooled down.",
        "too hot",
    ),
    "battery": Why(
        "this machine runs on battery",
        "Everything is saved. It goes on by itself when the machine is plugged in again.",
        "on battery",
    ),
    "hours": Why(
        "these are not the hours for training",
        "Everything is saved. It goes on by itself {when}.",
        "not its hours",
    ),
}
DISK = Why("the disk is nearly full", "Everything is saved. Free some disk space, then resume it.")
_UNKNOWN = Why("the studio paused it", "Everything is saved.")


def waits(state: RunState) -> bool:
    """Whether the run goes on by itself when the reason of its pause is gone."""
    return state.state == "paused" and state.pause_reason in REASONS


def why(reason: str, hours: str = "") -> Why:
    """The words for a reason; `hours` is the rule of the settings, as "22:00-08:00"."""
    found = DISK if reason == "disk" else _WHY.get(reason, _UNKNOWN)
    begin = hours.partition("-")[0].strip()
    when = f"at {begin}" if begin else "when they begin"
    return Why(found.short, found.text.format(when=when))


def headline(state: RunState) -> str:
    """What stands over a run that the studio paused: “Waiting: …” or “Paused: …”."""
    return f"{'Waiting' if waits(state) else 'Paused'}: {why(state.pause_reason).short}"
