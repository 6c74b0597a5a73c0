"""From a path to the data files it stands for: a file, an archive, or a folder of either."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.preparer import layout, packed
from studio.preparer.layout import KINDS
from studio.preparer.packed import DataFile

_LARGEST_NOTE = 2_000_000


class Files(NamedTuple):
    """The files to learn from, and those that their names set aside for evaluation."""

    train: list[DataFile]
    evaluation: list[DataFile]


def files_of(path: Path, part: DatasetPart) -> Files:
    """The data files of a path; StudioError where there is none to learn from.

    In folders and archives, files whose names say test, validation and the like are for
    evaluation, unless a `split` is asked for.
    """
    if path.is_file() and (_is_office(path) or packed.packing(path) != "zip"):
        return Files([DataFile(path)], [])
    there = _in_archive(path) if path.is_file() else _in_folder(path)
    names = layout.plain_only_alone([name for name in there if layout.readable(name)])
    readme = "" if path.is_file() else _text(path / "README.md")
    chosen = layout.choose(names, readme, part.config or "", part.split or "")
    if not chosen.train:
        raise _nothing(path)
    train, evaluation = (
        [there[name] for name in names] for names in (chosen.train, chosen.evaluation)
    )
    return Files(train, evaluation)


def _is_office(path: Path) -> bool:
    """Whether it is a zip archive of another kind, which reading refuses with a sentence."""
    return path.suffix.casefold() in layout.OFFICE


def _in_folder(path: Path) -> dict[str, DataFile]:
    found: dict[str, DataFile] = {}
    saved: dict[Path, set[str]] = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if not layout.readable(name) or not file.is_file():
            continue
        if file.suffix.casefold() == ".arrow" and not _is_listed(file, saved):
            continue
        if file.suffix.casefold() == ".zip":
            found |= {f"{name}/{inner}": file_ for inner, file_ in _in_archive(file).items()}
        else:
            found[name] = DataFile(file, label=name)
    return found


def _in_archive(path: Path) -> dict[str, DataFile]:
    names = [name for name in packed.members(path) if layout.readable(name)]
    return {name: DataFile(path, name) for name in names if PurePosixPath(name).suffix != ".zip"}


def _is_listed(file: Path, saved: dict[Path, set[str]]) -> bool:
    """Whether state.json of `save_to_disk`, where there is one, names this file."""
    if file.parent not in saved:
        saved[file.parent] = _listed_in(file.parent / "state.json")
    return not saved[file.parent] or file.name in saved[file.parent]


def _listed_in(state: Path) -> set[str]:
    try:
        said = json.loads(_text(state) or "{}")
        if said.get("_indices_data_files"):
            raise StudioError(
                "A selection of rows",
                f"“{state.parent.name}” was saved as a selection from other rows, which only the "
                "program that saved it can read.",
                "Call flatten_indices() before save_to_disk(), and save it again.",
            )
        return {str(one["filename"]) for one in said.get("_data_files", [])}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return set()


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_NOTE:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _nothing(path: Path) -> StudioError:
    what = "archive" if path.is_file() else "folder"
    return StudioError(
        f"No data in this {what}",
        f"The {what} “{path.name}” holds no file that can be learnt from.",
        f"Choose a {what} with files of these kinds: {KINDS}.",
    )
