"""The home's own sets of rows: a folder each with rows.jsonl, found by name, made and deleted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.core.own_sets import Origin, OwnSet
from studio.library import formats, trash
from studio.library.files import add_folder
from studio.library.folders import Home, legal_name
from studio.library.locks import Lock
from studio.library.trash import Trashed

CHATS = "chats"
"""The set that grows by itself out of rated answers."""
ROWS = "rows.jsonl"
PREFERENCES = "preferences.jsonl"
NOTE = "studio.json"

_TAKEN = ("sample", "starter", CHATS)
_PATIENCE_SECONDS = 10.0
_BLOCK = 1 << 20


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """studio.json of a set: how it came to be."""

    origin: Origin = "rows"
    source: str = ""
    created_at: float = 0.0


def find(home: Home, text: str) -> Path | None:
    """The rows of the set of this name, “chats/preferences” those beside; None without one.

    Raises Newer for a set of a newer studio.
    """
    name, _, inner = text.strip().partition("/")
    files = {"": ROWS, "preferences": PREFERENCES}
    if not name or name != legal_name(name) or inner not in files:
        return None
    path = home.datasets / name / files[inner]
    if not path.is_file():
        return None
    note(path.parent)
    return path.absolute()


def located(home: Home, name: str) -> Path:
    """The folder of a set; StudioError where there is none."""
    found = find(home, name)
    if found is None or found.name != ROWS:
        raise StudioError(
            "No such set",
            f"The studio has no set of rows called “{name}”.",
            "See “finetune-studio datasets” for those there are.",
        )
    return found.parent


def listing(home: Home) -> list[OwnSet]:
    """Every set, the latest first; counts rows, so it reads all of them."""
    there = home.datasets.iterdir() if home.datasets.is_dir() else ()
    named = (folder for folder in there if folder.name == legal_name(folder.name))
    found = [facts(folder) for folder in named if (folder / ROWS).is_file()]
    return sorted(found, key=lambda one: (-one.created_at, one.name))


def facts(folder: Path) -> OwnSet:
    """What is known of a set; one of a newer studio says so instead of raising."""
    path = folder / ROWS
    known = OwnSet(name=folder.name, path=str(path.absolute()), growing=folder.name == CHATS)
    try:
        read = note(folder)
        return msgspec.structs.replace(
            known,
            origin=read.origin,
            source=read.source,
            created_at=read.created_at,
            rows=count(path),
            size=path.stat().st_size,
        )
    except StudioError as error:
        return msgspec.structs.replace(known, problem=error.text)
    except OSError as error:
        return msgspec.structs.replace(known, problem=f"It can't be read: {error.strerror}.")


def note(folder: Path) -> Note:
    """How a set came to be; what is missing or broken is taken as unknown.

    Raises Newer for a set of a newer studio.
    """
    try:
        return formats.decode("dataset", (folder / NOTE).read_bytes(), Note, f"“{folder.name}”")
    except (OSError, ValueError):
        return Note()


def free_name(home: Home, text: str) -> str:
    """The name that a new set called `text` would have; StudioError where it is taken."""
    name = legal_name(text, "")
    if not name or name in _TAKEN:
        raise StudioError(
            "Not a name for a set", f"A set can't be called “{text}”.", "Choose another name."
        )
    if (home.datasets / name).exists():
        raise StudioError(
            "The name is taken",
            f"There is a set called “{name}” already.",
            "Choose another name, or delete that set first.",
        )
    return name


def create(home: Home, name: str, made: Note, write: Callable[[Path], None]) -> Path:
    """A new set whose rows `write` puts into the file it is given; its folder.

    The set appears whole or not at all. Raises StudioError where the name is taken.
    """
    name = free_name(home, name)
    made = msgspec.structs.replace(made, created_at=made.created_at or time.time())

    def fill(folder: Path) -> None:
        write(folder / ROWS)
        (folder / NOTE).write_bytes(formats.encode("dataset", made))

    return add_folder(home.datasets, name, fill)


def delete(home: Home, name: str) -> Trashed:
    """Move a set into the trash, from where it can be brought back."""
    folder = located(home, name)
    with writing(home):
        return trash.put(home, folder)


def count(path: Path) -> int:
    """The lines of a file."""
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n")


@contextlib.contextmanager
def writing(home: Home) -> Iterator[None]:
    """Alone among all processes that change sets; StudioError when that takes too long."""
    lock = Lock(home.datasets / "writing.lock")
    end = time.monotonic() + _PATIENCE_SECONDS
    while not lock.acquire():
        if time.monotonic() > end:
            raise StudioError(
                "The set is in use", "Another program is changing a set.", "Try again in a moment."
            )
        time.sleep(0.02)
    try:
        yield
    finally:
        lock.release()
