"""The adapters of the library: list, find, add, rename, annotate, delete and bring back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.library import adapter_files, trash
from studio.library.adapters import history, index
from studio.library.adapters.facts import (
    AdapterFacts,
    record,
    recorded,
)
from studio.library.adapters.lineage import change, in_library, origin
from studio.library.files import add_folder, same_files
from studio.library.folders import Home, legal_name

LONGEST_TAG = 40


def listing(home: Home) -> list[AdapterFacts]:
    """Every adapter of the library, the latest first; broken ones with their `problem`."""
    return sorted(index.read_all(home), key=lambda row: -row.created_at)


def find(home: Home, text: str) -> Path:
    """The adapter folder that a name, a path or else a folder's name stands for.

    Raises StudioError when there is none.
    """
    rows = listing(home)
    for named in (lambda row: row.name, lambda row: row.path, lambda row: Path(row.path).name):
        for row in rows:
            if named(row) == text:
                return Path(row.path)
    if (Path(text) / adapter_files.CONFIG).is_file():
        return Path(text)
    names = ", ".join(row.name for row in rows[:5]) or "none yet"
    raise StudioError(
        "No such adapter",
        f"There is no adapter called {text} and no adapter folder of that path.",
        f"Adapters in the library: {names}.",
    )


def add(home: Home, source: Path, name: str, known: AdapterFacts) -> Path:
    """Publish a finished adapter folder in the library, whole or not at all.

    `known` says what PEFT's files don't: base, method, dataset, losses, run, lineage. Returns
    the adapter's folder: the one that is there already where the same run published the same
    weights before; other weights of that run are what this adapter was resumed from. Raises
    StudioError when `source` is no adapter.
    """
    adapter_files.read_config(source)
    adapter_files.read_tensors(source)
    earlier = [row for row in listing(home) if known.run and row.run == known.run]
    for row in earlier:  # an engine that died after publishing publishes again when taken up
        if same_files(source, Path(row.path), "*.safetensors"):
            return Path(row.path)
    if earlier and not known.lineage:
        known = msgspec.structs.replace(known, lineage=(origin(earlier[0], "resumed"),))
    title = _free_name(home, name or source.name)

    def write(folder: Path) -> None:
        for file in adapter_files.belonging(source):
            shutil.copyfile(file, folder / file.name)
        history.keep(home, known.run, folder)
        stamped = {"name": title, "created_at": known.created_at or time.time()}
        record(folder, msgspec.structs.replace(known, **stamped))

    return add_folder(home.adapters, legal_name(title, "adapter"), write)


def rename(home: Home, folder: Path, name: str) -> AdapterFacts:
    """Give an adapter another name; its folder stays where it is.

    Raises StudioError when the name is empty or another adapter has it.
    """
    wanted = name.strip()
    if not wanted:
        raise StudioError("No name", "An adapter needs a name.", "Type one.")
    _refuse_others(home, folder, "renamed")
    recorded(folder)
    if any(row.name == wanted and row.folder != folder.name for row in listing(home)):
        raise StudioError(
            "Name taken", f"Another adapter is called {wanted}.", "Choose another name."
        )
    return change(home, folder, lambda _: {"name": wanted})


def annotate(
    home: Home, folder: Path, *, notes: str | None = None, tags: Iterable[str] | None = None
) -> AdapterFacts:
    """Change an adapter's notes, its tags or both; what isn't given stays."""
    _refuse_others(home, folder, "changed")
    new: dict[str, object] = {} if notes is None else {"notes": notes.strip()}
    if tags is not None:
        new["tags"] = cleaned(tags)
    return change(home, folder, lambda _: new)


def cleaned(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are kept: each once whatever its capitals, without white space around it."""
    short = (" ".join(tag.replace(",", " ").split())[:LONGEST_TAG].strip() for tag in tags)
    return tuple({tag.lower(): tag for tag in short if tag}.values())


def delete(home: Home, folder: Path) -> trash.Trashed:
    """Move an adapter of the library to the trash; `restore` takes what this returns.

    Raises StudioError when the folder isn't an adapter of this library, Newer when a newer
    studio made it.
    """
    _refuse_others(home, folder, "deleted")
    known = recorded(folder)
    return trash.put(home, folder, known.name if known else "")


def deleted(home: Home) -> list[trash.Trashed]:
    """The adapters in the trash, the latest first."""
    return [
        entry
        for entry in trash.listing(home)
        if (trash.content(entry) / adapter_files.CONFIG).is_file()
        or (trash.content(entry) / adapter_files.WEIGHTS).is_file()
    ]


def restore(home: Home, entry: trash.Trashed) -> Path:
    """Take a deleted adapter back out of the trash. Raises StudioError if it is gone."""
    home.adapters.mkdir(parents=True, exist_ok=True)
    # the home may have moved since
    return trash.restore(msgspec.structs.replace(entry, origin=str(home.adapters / entry.name)))


def _refuse_others(home: Home, folder: Path, done: str) -> None:
    if not in_library(home, folder):
        raise StudioError(
            "Not in the library",
            f"{folder} isn't an adapter of this library, so it isn't {done}.",
            "Import it first, or change it where it was made.",
        )


def _free_name(home: Home, name: str) -> str:
    taken = {row.name for row in listing(home)}
    wanted, number = name, 2
    while wanted in taken:
        wanted, number = f"{name} {number}", number + 1
    return wanted
