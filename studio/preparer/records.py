"""One row of a data file, and a text file opened so that broken bytes do no harm."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.preparer import encodings, packed
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell

LONGEST_ROW = 1 << 26
"""Characters of a line or JSON value; what is longer is named and passed over."""


class Record(msgspec.Struct, frozen=True):
    """One row of a file: its values, or the problem that keeps it from being one.

    `row` is the line number from 1; in JSON documents and in files of columns the row's number.
    `note` says what is odd about a row that is read all the same. `aside` rows come from a part
    of the file that its name sets aside for evaluation.
    """

    file: str
    row: int
    values: dict[str, Any] = {}
    problem: str = ""
    fix: str = ""
    note: str = ""
    aside: bool = False


class Overlong(str):
    """The beginning of a line of more than LONGEST_ROW characters."""


_SHOWN = 200

TOO_LONG = f"is longer than {LONGEST_ROW >> 20} million characters"


def nothing_in(name: str) -> StudioError:
    """The error of an empty file."""
    return StudioError("Dataset is empty", f"There is no row in “{name}”.", "Choose another file.")


@contextmanager
def as_text(
    file: DataFile, tell: Tell, newline: str | None = None
) -> Iterator[tuple[io.TextIOWrapper, packed.Stream]]:
    """A file's text and the stream beneath; bytes that are no text become lone surrogates."""
    encoding = encodings.of_file(file)
    with packed.opened(file) as stream:
        buffered = io.BufferedReader(stream, 1 << 18)
        with io.TextIOWrapper(buffered, encoding.codec, encoding.errors, newline) as text:
            yield text, stream


@contextmanager
def lines_of(file: DataFile, tell: Tell, newline: str | None = None) -> Iterator[Iterator[str]]:
    """The lines of a text file; one that is too long is an Overlong."""
    with as_text(file, tell, newline) as (text, stream):

        def lines() -> Iterator[str]:
            while line := text.readline(LONGEST_ROW):
                if len(line) == LONGEST_ROW and line[-1] not in "\r\n":
                    while (rest := text.readline(LONGEST_ROW)) and rest[-1] not in "\r\n":
                        tell(f"Reading {file.name}", stream.share())
                    line = Overlong(line[:_SHOWN])
                tell(f"Reading {file.name}", stream.share())
                yield line

        yield lines()


def short(error: BaseException) -> str:
    """The first line of an error, without its full stop."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).split("\n")[0][:160].rstrip(".")
