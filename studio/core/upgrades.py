"""The formats of all that the studio keeps on disk: older ones are read, newer ones refused.

Each thing that travels alone has a number. A run's covers its whole folder but for the recipe: log,
job, decisions, checkpoints, rows. The home's covers how all of it lies together. What was written
before there were numbers is of format 1. Raise a number when an older studio would misread or lose
what today's writes; say here how the older form becomes the newer, and keep a home of the older one
in tests/fixtures/formats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from studio.core.errors import StudioError
from studio.core.recipe import VERSION

Kind = Literal[
    "home", "run", "recipe", "adapter", "settings", "queue", "dataset", "calibrations", "speeds",
    "cards", "chat", "mix", "export",
]  # fmt: skip
Step = Callable[[dict[str, Any]], dict[str, Any]]

FORMATS: dict[Kind, int] = {
    "home": 1,
    "run": 2,
    "recipe": VERSION,
    "adapter": 2,
    "settings": 2,
    "queue": 1,
    "dataset": 1,
    "calibrations": 1,
    "speeds": 1,
    "cards": 1,
    "chat": 1,
    "mix": 1,
    "export": 1,
}

# from format n to n + 1, as plain data; each returns what it changed as a new mapping
STEPS: dict[tuple[Kind, int], Step] = {
    ("recipe", 1): dict,  # 2 has new settings only, and their defaults do what 1 did
    ("recipe", 2): dict,  # so has 3
    ("run", 1): dict,  # 2 has new events, and new fields with defaults
    ("adapter", 1): dict,  # 2 has notes, tags, lineage and what was made of it
    ("settings", 1): dict,  # 2 has the guard's rules
}


class Newer(StudioError):
    """Something that only a newer studio can read; nothing may be written to it."""


def upgraded(kind: Kind, data: dict[str, Any], what: str) -> dict[str, Any]:
    """Today's form of plain data, without its number; `what` is a subject for the sentence.

    Raises Newer for data of a newer studio. The argument isn't changed.
    """
    format = data.get("format", 1)
    if not isinstance(format, int) or isinstance(format, bool) or format < 1:
        format = 1
    refuse_newer(kind, format, what)
    return {key: value for key, value in _steps(kind, format, data).items() if key != "format"}


def refuse_newer(kind: Kind, format: int, what: str) -> None:
    """Raise Newer, in words about `what`, for a format above the one that this studio knows."""
    if format > FORMATS[kind]:
        raise Newer(
            "Made by a newer studio",
            f"{what} was written by a newer version of the studio (format {format}; this one "
            f"knows {FORMATS[kind]}) and is left as it is.",
            "Update the studio, then open it again.",
        )


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """Today's form of a recipe's plain data; the argument isn't changed.

    A recipe without a version is of today's. Raises Newer for one newer than this studio.
    """
    version = data.get("version", VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return data
    if version > VERSION:
        raise Newer(
            "Recipe is newer than the studio",
            f"It is of version {version}; this studio knows versions up to {VERSION}.",
            "Update the studio, or write the recipe with an older one.",
        )
    data = _steps("recipe", version, data)
    return data | {"version": VERSION} if "version" in data else data


def _steps(kind: Kind, format: int, data: dict[str, Any]) -> dict[str, Any]:
    for number in range(format, FORMATS[kind]):
        data = STEPS[kind, number](data)
    return data
