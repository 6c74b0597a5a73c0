"""Editing the rows of an own set: each change replaces the file whole, and can be undone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from studio.core.errors import StudioError
from studio.core.own_sets import OwnRow
from studio.library import own_datasets
from studio.library.files import append_line, read_lines, whole_file, write_whole
from studio.library.folders import Home
from studio.library.own_datasets import ROWS

HISTORY = "history.jsonl"


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """Lines in place of others, and the digest of the file behind the change."""

    at: int
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    after: str = ""


def read(home: Home, name: str, start: int = 0, most: int = 200) -> list[OwnRow]:
    """Rows from a place (from 0) on; one that is no JSON object has no values."""
    folder = own_datasets.located(home, name)
    with (folder / ROWS).open("rb") as file:
        lines = itertools.islice(file, start, start + most)
        return [_row(start + place, line) for place, line in enumerate(lines)]


def replace(home: Home, name: str, row: OwnRow, values: Mapping[str, Any]) -> OwnRow:
    """Give a row other values; StudioError where it no longer stands where it stood."""
    line = line_of(values)
    _change(home, name, row.place, (row.line,), (line,))
    return OwnRow(row.place, line, dict(values))


def delete(home: Home, name: str, row: OwnRow) -> None:
    """Take a row out; StudioError where it no longer stands where it stood."""
    _change(home, name, row.place, (row.line,), ())


def insert(home: Home, name: str, place: int, values: Mapping[str, Any]) -> OwnRow:
    """A new row before the one at this place, or behind the last one."""
    line = line_of(values)
    _change(home, name, place, (), (line,))
    return OwnRow(place, line, dict(values))


def undo(home: Home, name: str) -> int | None:
    """Take the last change back; the place where, or None where there is none to take back.

    Changes that another program has written over since can't be taken back.
    """
    folder = _editable(home, name)
    with own_datasets.writing(home):
        lines, _ = read_lines(folder / HISTORY)
        digest = _digest(folder / ROWS)
        while lines:
            last = _change_in(lines.pop())
            if last is not None and last.after == digest:
                _write(folder / ROWS, last.at, last.added, last.removed, lambda _: None)
                break
        else:
            last = None
        write_whole(folder / HISTORY, b"".join(line + b"\n" for line in lines))
    return last.at if last else None


def can_undo(home: Home, name: str) -> bool:
    """Whether there is a change to take back."""
    lines, _ = read_lines(own_datasets.located(home, name) / HISTORY)
    return bool(lines)


def _editable(home: Home, name: str) -> Path:
    folder = own_datasets.located(home, name)
    if folder.name == own_datasets.CHATS:
        raise StudioError(
            "This set grows by itself",
            "It is made of the answers you rate, so its rows can't be edited here.",
            "Make a copy and edit that.",
        )
    return folder


def _change(home: Home, name: str, at: int, removed: Sequence[str], added: Sequence[str]) -> None:
    folder = _editable(home, name)

    def remember(digest: str) -> None:
        change = _Change(at=at, removed=tuple(removed), added=tuple(added), after=digest)
        append_line(folder / HISTORY, msgspec.json.encode(change))

    with own_datasets.writing(home):
        _write(folder / ROWS, at, removed, added, remember)


def _write(
    path: Path,
    at: int,
    removed: Sequence[str],
    added: Sequence[str],
    remember: Callable[[str], None],
) -> None:
    """Put lines in the place of others; what is remembered is so before the file changes, and
    counts only if it did."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as old, whole_file(path) as new:
        for line in _changed(old, at, removed, added):
            digest.update(line)
            new.write(line)
        remember(digest.hexdigest())


def _changed(
    file: BinaryIO, at: int, removed: Sequence[str], added: Sequence[str]
) -> Iterator[bytes]:
    yield from _ended(itertools.islice(file, at))
    if [_text(line) for line in itertools.islice(file, len(removed))] != list(removed):
        raise StudioError(
            "The set was changed meanwhile",
            "Another program has changed the row since it was shown.",
            "Open the set again.",
        )
    yield from (line.encode() + b"\n" for line in added)
    yield from _ended(file)


def _ended(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Every line with its end, which the last of a file may lack."""
    return (line if line.endswith(b"\n") else line + b"\n" for line in lines)


def _digest(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        for line in _ended(file):
            digest.update(line)
    return digest.hexdigest()


def _change_in(line: bytes) -> _Change | None:
    try:
        return msgspec.json.decode(line, type=_Change)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _row(place: int, line: bytes) -> OwnRow:
    try:
        values = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        values = {}
    return OwnRow(place, _text(line), values)


def _text(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf-8", "replace")


def line_of(values: Mapping[str, Any]) -> str:
    """A row as it stands in a file; StudioError for what no file can hold."""
    try:
        return str(msgspec.json.encode(values), "utf-8")
    except (TypeError, ValueError, UnicodeError) as error:
        raise StudioError(
            "Not a row", f"This can't be kept as a row: {error}.", "Take out what no text can hold."
        ) from error
