"""Deleting that can be undone: a folder or file moves into the home's trash and back."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.library.files import remove_folder, write_whole
from studio.library.folders import Home, free_path

_LABEL = "trash.json"
_CONTENT = "content"


class Trashed(msgspec.Struct, frozen=True, kw_only=True):
    """One deleted folder or file. `path` is its place in the trash, `origin` where it was, `title`
    what people called it; `deleted_at` is seconds since the epoch."""

    path: str
    origin: str
    name: str
    title: str = ""
    deleted_at: float = 0.0


def put(home: Home, folder: Path, title: str = "") -> Trashed:
    """Move a folder or a file into the trash; `title` is its name for people, if another.

    Raises StudioError when it is missing or the system won't let it go.
    """
    if not folder.exists():
        raise StudioError("Already gone", f"There is no {folder}.", "Refresh the list.")
    place = home.trash / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    entry = Trashed(
        path=str(place),
        origin=str(folder.absolute()),
        name=folder.name,
        title=title or folder.name,
        deleted_at=time.time(),
    )
    write_whole(place / _LABEL, msgspec.json.encode(entry))
    try:
        _move(folder, place / _CONTENT)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise StudioError(
            "Can't be deleted",
            f"{folder.name} is in use or protected ({error.strerror or error}).",
            "Close whatever uses it and try again.",
        ) from error
    return entry


def restore(entry: Trashed) -> Path:
    """Move something back to where it was, under another name if that one is taken since.

    Raises StudioError when it is no longer in the trash.
    """
    content, origin = Path(entry.path) / _CONTENT, Path(entry.origin)
    if not content.exists():
        raise StudioError(
            "Not in the trash", f"{entry.name} is no longer in the trash.", "Refresh the list."
        )
    origin.parent.mkdir(parents=True, exist_ok=True)
    target = free_path(origin.parent, origin.name)
    _move(content, target)
    shutil.rmtree(entry.path, ignore_errors=True)
    return target


def listing(home: Home) -> list[Trashed]:
    """What lies in the trash, the latest first."""
    found = [_read(label) for label in home.trash.glob(f"*/{_LABEL}")]
    return sorted((e for e in found if e), key=lambda entry: -entry.deleted_at)


def content(entry: Trashed) -> Path:
    """The folder itself, where it lies in the trash."""
    return Path(entry.path) / _CONTENT


def erase(entry: Trashed) -> None:
    """Delete one thing of the trash for good."""
    remove_folder(Path(entry.path))


def empty(home: Home) -> int:
    """Delete for good what lies in the trash; the number of folders gone."""
    entries = listing(home)
    for entry in entries:
        erase(entry)
    return len(entries)


def _read(label: Path) -> Trashed | None:
    try:
        entry = msgspec.json.decode(label.read_bytes(), type=Trashed)
    except (OSError, msgspec.MsgspecError):
        return None
    whole = (label.parent / _CONTENT).exists()
    # The trash may have moved with its home folder.
    title = entry.title or entry.name
    return msgspec.structs.replace(entry, path=str(label.parent), title=title) if whole else None


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError:
        if not source.exists():
            raise
        shutil.move(str(source), str(target))
