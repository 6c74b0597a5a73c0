"""The rows of tables written as text: CSV and TSV in their dialects."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence

from studio.core.errors import StudioError
from studio.preparer.dialects import LOOKED_AT, sniff
from studio.preparer.messages import printable
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell
from studio.preparer.records import LONGEST_ROW, TOO_LONG, Overlong, Record, lines_of

csv.field_size_limit(LONGEST_ROW)
_END = "\x1eend of the table\x1e"
"""A row behind the last: where a quote is never closed, it ends up within a field."""


def delimited(file: DataFile, tell: Tell) -> Iterator[Record]:
    """A row from each line, or from several where quotes hold line breaks."""
    with lines_of(file, tell, newline="") as text:
        lines = _usable(file, text)
        skipped, first = next(((n, line) for n, line in enumerate(lines) if line.strip()), (0, ""))
        separator = _announced(first)
        if separator:
            skipped, first = skipped + 1, next(lines, "")
        head = [first, *itertools.islice(lines, LOOKED_AT)]
        dialect = sniff(head, file.suffix == ".tsv")
        if separator:
            dialect = dialect._replace(separator=separator)
        rows = dialect.reader(itertools.chain(head, lines, [_END]))
        try:
            yield from _records(file, rows, skipped)
        except csv.Error as error:
            raise StudioError(
                "Table is damaged",
                f"“{file.name}” can't be read beyond line {_line_of(rows) + skipped}: {error}.",
                "Save the table again as CSV in UTF-8.",
            ) from error


def _records(file: DataFile, rows: Iterator[list[str]], skipped: int) -> Iterator[Record]:
    header = _header(file, next(rows))
    last = _line_of(rows)
    for fields in rows:
        first, last = last + 1, _line_of(rows)
        if fields and _END in fields[-1]:
            if fields != [_END]:
                why = "opens a quote that is never closed, so that the rest of the file is lost"
                yield Record(
                    file.name, first + skipped, problem=why, fix="Close the quote, or double it."
                )
        elif fields and any(fields):
            yield _record(file, first + skipped, header, fields)


def _record(file: DataFile, row: int, header: Sequence[str], fields: list[str]) -> Record:
    if len(fields) > len(header) and not any(fields[len(header) :]):
        fields = fields[: len(header)]  # a separator too many at the end
    if len(fields) != len(header):
        why = f"has {len(fields)} fields where the header names {len(header)}"
        return Record(file.name, row, problem=why, fix="Quote fields that contain the separator.")
    return Record(file.name, row, dict(zip(header, fields, strict=True)))


def _header(file: DataFile, fields: Sequence[str]) -> list[str]:
    """The names of the columns; one without a name, such as an index, gets its number."""
    names = [printable(name).strip() for name in fields]
    while len(names) > 1 and not names[-1]:
        names.pop()
    filled = [name or f"column {place}" for place, name in enumerate(names, 1)]
    torn = any(_END in name for name in names)
    if len(set(filled)) != len(filled) or not any(names) or torn:
        raise StudioError(
            "Table has no proper header",
            f"The first line of “{file.name}” must name every column once; it reads "
            f"“{', '.join(names)[:80]}”.",
            "Give the table a first line with the names of its columns.",
        )
    return filled


def _announced(line: str) -> str:
    """The separator of a first line that says “sep=;” to Excel."""
    said = line.strip().strip('"')
    return said[4:] if said.lower().startswith("sep=") and len(said) == 5 else ""


def _usable(file: DataFile, lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if isinstance(line, Overlong):
            raise StudioError(
                "Table is damaged",
                f"Line {number} of “{file.name}” {TOO_LONG}.",
                "Check its quotes and line ends, and save it again as CSV in UTF-8.",
            )
        yield line


def _line_of(rows: Iterator[list[str]]) -> int:
    number: int = rows.line_num  # type: ignore[attr-defined]
    return number
