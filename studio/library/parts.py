"""Which optional parts are there, and the refusal of what needs one that isn't.

A part is packages in the studio's own Python environment, or files of one in a folder of it.
"""

from __future__ import annotations

import csv
import functools
import importlib.metadata
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Literal

import msgspec

from studio.core.errors import StudioError
from studio.core.parts import Part, normal
from studio.library import resources

State = Literal["installed", "missing", "broken", "unavailable"]
"""`broken`: of another version than this studio was made for, or with files missing; installing
the part mends it. `unavailable`: there is no build for this machine."""


@functools.cache
def every() -> tuple[Part, ...]:
    """All optional parts, in the order that people are shown."""
    content = resources.path("parts", "parts.json").read_bytes()
    return tuple(msgspec.json.decode(content, type=list[Part]))


def find(name: str) -> Part:
    """The part of this name. Raises StudioError where there is none."""
    for part in every():
        if part.name == name:
            return part
    names = ", ".join(part.name for part in every())
    raise StudioError("Unknown part", f"There is no part {name}.", f"The parts are: {names}.")


def state(part: Part) -> State:
    """Whether a part can be used now."""
    if part.extract is not None:
        return "installed" if folder(part).is_dir() else "missing"
    found = {name: _installed(name) for name in part.pins}
    if not any(found.values()):
        return "missing" if part.size_on(this_machine()) is not None else "unavailable"
    whole = all(
        one is not None and one.version == part.pins[name] and _whole(one)
        for name, one in found.items()
    )
    return "installed" if whole else "broken"


def damaged(part: Part) -> list[Path]:
    """The marks (dist-info) of its packages that are there without all of their files."""
    found = [package for name in part.pins if (package := _installed(name)) and not _whole(package)]
    marks = (Path(str(package.locate_file(""))).glob("*.dist-info") for package in found)
    return [
        mark
        for folder in marks
        for mark in folder
        if normal(mark.name.partition("-")[0]) in part.pins
    ]


def ready(name: str) -> bool:
    """Whether what needs this part can start."""
    return state(find(name)) == "installed"


def folder(part: Part) -> Path:
    """Where the files of a part lie that is taken out of a package."""
    version = next(iter(part.pins.values()))
    return environment() / f"{part.name}-{version}"


def environment() -> Path:
    """The folder for parts inside the studio's Python environment."""
    return Path(sys.prefix) / "share" / "finetune-studio" / "parts"


def missing(names: Iterable[str]) -> list[Part]:
    """The parts among these that have to be installed first."""
    return [part for part in map(find, names) if state(part) != "installed"]


def need(*names: str) -> None:
    """Raise StudioError unless all of these parts are there: called before anything starts."""
    lacking = missing(names)
    if not lacking:
        return
    gone = [part for part in lacking if part.size_on(this_machine()) is None]
    if gone:
        raise StudioError(
            "Not on this machine",
            f"This needs {gone[0].title}, and there is no build of it for {this_machine()}.",
            "Choose a target that does without it, or use another machine.",
        )
    titles = " and ".join(part.title for part in lacking)
    megabytes = sum(part.size_on(this_machine()) or 0 for part in lacking) / 2**20
    raise StudioError(
        "A part is missing",
        f"This needs {titles}, which {'is' if len(lacking) == 1 else 'are'} not installed "
        f"({megabytes:.0f} MB to download).",
        f"Install: finetune-studio parts install {' '.join(part.name for part in lacking)}",
    )


def this_machine() -> str:
    """The kind of machine, as parts name it: system and processor."""
    systems = {"win32": "windows", "darwin": "macos"}
    return f"{systems.get(sys.platform, 'linux')}-{platform.machine().lower()}"


def _installed(name: str) -> Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except PackageNotFoundError:
        return None


def _whole(package: Distribution) -> bool:
    """Whether every file is there in its size that the installer wrote down.

    The list is read here: `Distribution.files` leaves out what is missing, in Python 3.12 and
    newer and wherever setuptools' copy of importlib.metadata was imported.
    """
    rows = list(csv.reader((package.read_text("RECORD") or "").splitlines()))
    return bool(rows) and all(
        _in_its_size(Path(str(package.locate_file(name))), size) for name, _, size in rows
    )


def _in_its_size(path: Path, size: str) -> bool:
    if not size or path.suffix == ".pyc":
        return True
    try:
        return path.stat().st_size == int(size)
    except OSError:
        return False
