"""Where an adapter came from, and what was made of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.library.adapters.facts import AdapterFacts, How, Kind, Made, Origin, facts, record
from studio.library.folders import Home
from studio.library.locks import Lock, taken

LOCK_SECONDS = 10.0
Changes = Callable[[AdapterFacts], dict[str, Any]]

KEPT = 200
"""The latest things made of one adapter that are remembered."""


def record_made(
    home: Home, adapter: Path, kind: Kind, path: Path, *, format: str = "", grade: str = ""
) -> None:
    """Remember with an adapter of the library what was made of it.

    Another adapter, or one that is gone meanwhile, is passed over: the work is done, and its
    success doesn't hang on the record.
    """
    if not in_library(home, adapter):
        return
    made = Made(kind=kind, path=str(path), format=format, grade=grade, time=time.time())
    try:
        change(home, adapter, lambda now: {"made": (*_others(now, made), made)[-KEPT:]})
    except (StudioError, OSError):
        return


def origin(known: AdapterFacts, how: How = "mixed", weight: float | None = None) -> Origin:
    """An adapter as it stands in the lineage of one that comes from it."""
    return Origin(name=known.name, folder=known.folder, how=how, weight=weight)


def children(known: AdapterFacts, every: Sequence[AdapterFacts]) -> list[AdapterFacts]:
    """Those of `every` adapter of the library that came from this one."""
    return [
        each for each in every if any(o.folder == known.folder and o.folder for o in each.lineage)
    ]


def in_library(home: Home, folder: Path) -> bool:
    """Whether a folder is one of the library's own."""
    return folder.absolute().parent == home.adapters.absolute()


def change(home: Home, folder: Path, changes: Changes) -> AdapterFacts:
    """Change what is recorded of an adapter; `changes(facts now)` gives the new values.

    One at a time: an engine and the window may both have something to say.
    """
    lock = Lock(home.cache / "adapters.lock")
    if not taken(lock, LOCK_SECONDS):
        raise StudioError(
            "The library is busy", "Another process is writing to it.", "Try again in a moment."
        )
    try:
        now = facts(folder)
        new = msgspec.structs.replace(now, **changes(now))
        record(folder, new)
        return new
    finally:
        lock.release()


def _others(now: AdapterFacts, made: Made) -> list[Made]:
    return [each for each in now.made if (each.kind, each.path) != (made.kind, made.path)]
