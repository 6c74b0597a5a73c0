"""Why the studio paused a run by itself, in the window's words."""

from __future__ import annotations

from studio.core.guard import REASON_WORDS
from studio.core.guard import waits as waits
from studio.core.run_state import RunState

_SAVED = "Everything is saved."
_NEXT = {
    "game": "It goes on by itself when the memory is free again.",
    "heat": "It goes on by itself when the card has cooled down.",
    "battery": "It goes on by itself when the machine is plugged in again.",
    "disk": "Free some disk space, then resume it.",
}
_BRIEF = {
    "game": "memory in use",
    "heat": "too hot",
    "battery": "on battery",
    "hours": "not its hours",
}


def short(reason: str) -> str:
    """What keeps the run paused, to follow “Waiting: ”."""
    return REASON_WORDS.get(reason, "the studio paused it")


def brief(reason: str) -> str:
    """The same in two or three words."""
    return _BRIEF.get(reason, "paused")


def text(reason: str, hours: str = "") -> str:
    """What happens next; `hours` is the rule of the settings, as "22:00-08:00"."""
    begin = hours.partition("-")[0].strip()
    when = f"at {begin}" if begin else "when they begin"
    after = f"It goes on by itself {when}." if reason == "hours" else _NEXT.get(reason, "")
    return f"{_SAVED} {after}".strip()


def headline(state: RunState) -> str:
    """What stands over a run that the studio paused: “Waiting: …” or “Paused: …”."""
    return f"{'Waiting' if waits(state) else 'Paused'}: {short(state.pause_reason)}"
