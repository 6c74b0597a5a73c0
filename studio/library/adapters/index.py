"""What was read of the library's adapters before, so that a thousand of them open in a blink."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import msgspec

from studio.core.upgrades import FORMATS
from studio.library.adapters.facts import AdapterFacts, facts_or_problem
from studio.library.files import PARTIAL, write_whole
from studio.library.folders import Home

READING = 1
"""Raise it when the same files are read as other facts."""
SETTLED_SECONDS = 2.0
"""A file may change again without its time changing, within the steps that some disks count in."""


class _Entry(msgspec.Struct, frozen=True):
    mark: str
    facts: AdapterFacts


class _Index(msgspec.Struct, frozen=True):
    version: tuple[int, int] = (0, 0)
    entries: dict[str, _Entry] = {}


_VERSION = (READING, FORMATS["adapter"])


def read_all(home: Home) -> list[AdapterFacts]:
    """The facts of every adapter of the library, in no order; only what changed is read anew."""
    known, rows, fresh = _load(home), [], {}
    begun = time.time()
    for folder in _folders(home):
        mark, touched = _mark(folder)
        entry = known.get(folder.name)
        if entry is not None and entry.mark == mark:
            rows.append(msgspec.structs.replace(entry.facts, path=str(folder)))
            continue
        row = facts_or_problem(folder)
        rows.append(row)
        if not row.problem and touched < begun - SETTLED_SECONDS:
            fresh[folder.name] = _Entry(mark, msgspec.structs.replace(row, path=""))
    if fresh:
        there = {Path(row.path).name for row in rows}
        _save(home, {n: e for n, e in known.items() if n in there} | fresh)
    return rows


def _folders(home: Home) -> list[Path]:
    try:
        with os.scandir(home.adapters) as found:
            return [
                Path(each.path)
                for each in found
                if not each.name.startswith(PARTIAL) and each.is_dir()
            ]
    except FileNotFoundError:
        return []


def _mark(folder: Path) -> tuple[str, float]:
    """What changes whenever a file of the folder does, and when one last did."""
    told, touched = [], 0.0
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for each in found:
            if each.is_file():
                stat = each.stat()
                told.append(f"{each.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}")
                touched = max(touched, stat.st_mtime)
    return hashlib.blake2s("\n".join(sorted(told)).encode(), digest_size=12).hexdigest(), touched


def _place(home: Home) -> Path:
    return home.cache / "adapters.json"


def _load(home: Home) -> dict[str, _Entry]:
    try:
        index = msgspec.json.decode(_place(home).read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError):
        return {}
    return index.entries if index.version == _VERSION else {}


def _save(home: Home, entries: dict[str, _Entry]) -> None:
    """Without it the next look takes longer, and that is all."""
    with contextlib.suppress(OSError):
        write_whole(_place(home), msgspec.json.encode(_Index(_VERSION, entries)))
