"""settings: what the user set for this home, shown and changed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from studio.cli.console import Console, size, table
from studio.core import accelerations, guard
from studio.core.errors import StudioError
from studio.core.memory import GIB
from studio.library import settings
from studio.library.folders import Home
from studio.library.settings import Settings

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

COOLEST, HOTTEST = 50, 110
"""Degrees Celsius: below, a card that does nothing would be too hot; above, none works."""
FLAGS = {"on": True, "yes": True, "off": False, "no": False}

Value = bool | int | str


class Key(NamedTuple):
    """One setting: the words for its value, what it means, and how it is read and changed.

    `field` is that of Settings, or of its guard where `guarded`. `parse` raises StudioError.
    """

    words: str
    about: str
    field: str
    parse: Callable[[str], Value]
    guarded: bool = True


def _flag(text: str) -> bool:
    if text.lower() not in FLAGS:
        raise _bad(text, "neither on nor off", "Say on or off.")
    return FLAGS[text.lower()]


def _celsius(text: str) -> int:
    if text.lower() == "off":
        return 0
    number = text.lower().removesuffix("c").removesuffix("°")
    if not number.isdecimal() or not COOLEST <= int(number) <= HOTTEST:
        advice = f"Give degrees Celsius from {COOLEST} to {HOTTEST}, or off; 83 is a usual limit."
        raise _bad(text, "no temperature of a card at work", advice)
    return int(number)


def _hours(text: str) -> str:
    return "" if text.lower() == "always" else str(guard.hours(text) or "")


def _reserve(text: str) -> int:
    advice = "Give gigabytes, like 0.5 or 2."
    try:
        gigabytes = float(text.lower().removesuffix("b").removesuffix("g").strip())
    except ValueError:
        raise _bad(text, "no number of gigabytes", advice) from None
    if not 0 <= gigabytes <= 64:
        raise _bad(text, "not between 0 and 64 GB", advice)
    return round(gigabytes * GIB)


def _card(text: str) -> str:
    return "" if text.lower() == "auto" else text.strip()


def _folder(text: str) -> str:
    if text.lower() == "none":
        return ""
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise _bad(text, "no folder", "Give a folder that exists, or none.")
    return str(path)


def _names(text: str) -> str:
    return "" if text.lower() == "none" else ",".join(accelerations.names_in(text))


KEYS = {
    "game-mode": Key(
        "on|off", "pause while another program takes the card's memory", "game_mode", _flag
    ),
    "hot-celsius": Key(
        "N|off", "pause while the card is hotter than this", "hot_celsius", _celsius
    ),
    "on-battery": Key("on|off", "pause while the machine runs on battery", "on_battery", _flag),
    "hours": Key("22:00-08:00|always", "train only between these times of day", "hours", _hours),
    "keep-awake": Key("on|off", "keep the machine awake while a run trains", "keep_awake", _flag),
    "reserve": Key(
        "GB", "memory that training leaves free for the desktop", "reserve_bytes", _reserve, False
    ),
    "card": Key(
        "auto|N|NAME",
        "which of several cards runs use: its number, a part of its name, or auto for the one "
        "with the most free memory",
        "card",
        _card,
        False,
    ),
    "without": Key(
        f"none|{','.join(accelerations.NAMES)}",
        "accelerations that are switched off, to compare or when one fails; the doctor lists them",
        "without",
        _names,
        False,
    ),
    "also": Key(
        f"none|{','.join(accelerations.NAMES)}",
        "accelerations that are wanted even where they don't come in by themselves",
        "also",
        _names,
        False,
    ),
    "models-folder": Key(
        "DIR|none", "one more folder to look for models in", "models_folder", _folder, False
    ),
}


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of settings."""
    about = "Show the settings of this home, or change one. Runs at work follow at once."
    rules = "\n".join(f"  {name} {key.words}: {key.about}" for name, key in KEYS.items())
    one = parsers.add_parser(
        "settings",
        parents=[shared],
        help="show and change settings: when runs pause by themselves, and more",
        description=f"{about}\n\n{rules}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("key", nargs="?", metavar="KEY", help="one of those above; without it all")
    one.add_argument("value", nargs="?", metavar="VALUE", help="its new value")
    one.set_defaults(run=_settings)


def _settings(home: Home, options: argparse.Namespace, console: Console) -> int:
    now = settings.load(home)
    if options.key is not None and options.key not in KEYS:
        raise StudioError(
            "No such setting",
            f"There is none called “{options.key}”.",
            f"Choose one of {', '.join(KEYS)}.",
        )
    if options.value is not None:
        now = _changed(now, KEYS[options.key], options.value)
        settings.save(home, now)
    names = [options.key] if options.key else list(KEYS)
    rows = [(name, _words(name, now), KEYS[name].about) for name in names]
    console.result({name: _value(now, KEYS[name]) for name in names}, table(rows, _HEAD))
    return 0


_HEAD = ("SETTING", "VALUE", "WHAT IT DOES")


def _changed(now: Settings, key: Key, text: str) -> Settings:
    value = {key.field: key.parse(text)}
    if not key.guarded:
        return msgspec.structs.replace(now, **value)
    return msgspec.structs.replace(now, guard=msgspec.structs.replace(now.guard, **value))


def _value(now: Settings, key: Key) -> Value:
    found: Value = getattr(now.guard if key.guarded else now, key.field)
    return found


def _words(name: str, now: Settings) -> str:
    value = _value(now, KEYS[name])
    if isinstance(value, bool):
        return "on" if value else "off"
    match name:
        case "hot-celsius":
            return f"{value} °C" if value else "off"
        case "card":
            return str(value) or "auto"
        case "hours":
            return str(value) or "always"
        case "reserve":
            return size(float(value))
    return str(value) or "none"


def _bad(text: str, what: str, advice: str) -> StudioError:
    return StudioError("Not a value for this setting", f"“{text}” is {what}.", advice)
