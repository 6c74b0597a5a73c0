"""One row of a data file, and a text file opened so that broken bytes do no harm."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.preparer.progress import Tell
from studio.preparer.sources import encoding_of


class Record(msgspec.Struct, frozen=True):
    """One row of a file: its values, or the problem that keeps it from being one.

    `row` is the line number from 1; in JSON arrays and parquet files the row number.
    """

    file: str
    row: int
    values: dict[str, Any] = {}
    problem: str = ""
    fix: str = ""


def nothing_in(path: Path) -> StudioError:
    """The error of an empty file."""
    return StudioError(
        "Dataset is empty", f"There is no row in “{path.name}”.", "Choose another file."
    )


@contextmanager
def opened(path: Path, tell: Tell, newline: str | None = None) -> Iterator[Iterator[str]]:
    """The lines of a text file; bytes that are no text become lone surrogates."""
    encoding, size = encoding_of(path), path.stat().st_size or 1
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding, errors, newline) as text:

        def lines() -> Iterator[str]:
            for line in text:
                tell(f"Reading {path.name}", raw.tell() / size)
                yield line

        yield lines()


def short(error: BaseException) -> str:
    """The first line of an error, without its full stop."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).split("\n")[0][:160].rstrip(".")
