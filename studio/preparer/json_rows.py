"""The rows of JSON files: one object a line, or documents of any make."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

from studio.core.errors import StudioError
from studio.preparer import encodings, json_documents
from studio.preparer.json_values import Decoder, NotJson, Values, blank
from studio.preparer.messages import broken
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell, silent
from studio.preparer.records import (
    LONGEST_ROW,
    TOO_LONG,
    Overlong,
    Record,
    as_text,
    lines_of,
    nothing_in,
    short,
)

TRIED = 20
_LONG = 1 << 20


def lines(file: DataFile, tell: Tell) -> Iterator[Record]:
    """A row from each line; StudioError where the first TRIED lines hold none."""
    decoder = Decoder()
    with lines_of(file, tell) as text:
        good = bad = 0
        for number, line in enumerate(text, 1):
            if not isinstance(line, Overlong) and blank(line):
                continue
            record = _record(file, number, line, decoder)
            good, bad = good + (not record.problem), bad + bool(record.problem)
            if bad == TRIED and not good:
                raise not_json(file, f"None of its first {bad} lines is a JSON object.")
            yield record
        if not good:
            raise not_json(file, "None of its lines is a JSON object.")


def lines_from(file: DataFile, at: int, number: int) -> Iterator[Record]:
    """The rows from a byte on where the line of this number begins; of files that aren't packed."""
    decoder, encoding = Decoder(), encodings.of_file(file)
    with file.path.open("rb") as raw:
        raw.seek(at)
        with io.TextIOWrapper(raw, encoding.codec, encoding.errors) as text:
            for place, line in enumerate(text, number):
                if len(line) >= LONGEST_ROW:
                    line = Overlong(line[:1])
                if not blank(line):
                    yield _record(file, place, line, decoder)


def document(file: DataFile, tell: Tell) -> Iterator[Record]:
    """The rows of an array, of objects one after the other, or of a table in an object."""
    try:
        with as_text(file, tell) as (text, stream):
            values = Values(text.read)
            row = 0
            for found in json_documents.rows(values):
                tell(f"Reading {file.name}", stream.share())
                row += 1
                value = {"text": found.value} if isinstance(found.value, str) else found.value
                yield _object(file, row, value, values.note, found.aside)
            if not row:
                raise nothing_in(file.name)
    except (NotJson, RecursionError) as error:
        raise not_json(file, f"{short(error)}.") from error


def is_document(file: DataFile, named: str) -> bool:
    """Whether a JSON file is something else than one object a line."""
    if _is_long_list(file):
        return True
    with lines_of(file, silent) as text:
        filled = (line.strip(" \t\r\n\ufeff") for line in text if not blank(line))
        head = list(itertools.islice(filled, TRIED))
    if not head:
        raise nothing_in(file.name)
    decoder = Decoder()
    fits = [_is_row(line, decoder) for line in head]
    begins, first_fits = head[0][:1], fits[0]
    if len(head) == 1:
        return named != "jsonl" or begins == "[" or not first_fits
    if first_fits or begins not in ("[", "{", "/"):
        return False
    return named != "jsonl" or begins == "[" or sum(fits) * 2 < len(fits)


def _is_long_list(file: DataFile) -> bool:
    """Whether the first line is a list so long that it must be all of the rows."""
    with as_text(file, silent) as (text, _):
        start = next((line for line in iter(lambda: text.readline(_LONG), "") if line.strip()), "")
    return len(start) == _LONG and start.lstrip("\ufeff \t")[:1] == "["


def _is_row(line: str, decoder: Decoder) -> bool:
    try:
        return isinstance(decoder.whole(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _record(file: DataFile, row: int, line: str, decoder: Decoder) -> Record:
    if isinstance(line, Overlong):
        return Record(file.name, row, problem=TOO_LONG, fix="Split it, or leave it out.")
    try:
        value = decoder.whole(line.strip(" \t\r\n\ufeff"))
    except (ValueError, RecursionError) as error:
        why = f"is not valid JSON ({short(error)})"
        if isinstance(error, json.JSONDecodeError):
            why = f"is not valid JSON ({error.msg} at character {error.pos + 1})"
        return Record(file.name, row, problem=why, fix="Fix or delete this line.")
    return _object(file, row, value, decoder.note)


def _object(file: DataFile, row: int, value: object, note: str = "", aside: bool = False) -> Record:
    if isinstance(value, dict):
        if broken("".join(value)):
            why = "has a field whose name is no UTF-8 text"
            return Record(file.name, row, problem=why, fix="Save the file again as UTF-8.")
        return Record(file.name, row, value, note=note, aside=aside)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return Record(file.name, row, {"messages": value}, note=note, aside=aside)
    why = f"is a JSON {_NAMES.get(type(value), 'value')}, not an object with named fields"
    return Record(file.name, row, problem=why, fix='Write it as {"field": "value", …}.')


_NAMES: dict[type[Any], str] = {
    str: "string", int: "number", float: "number", list: "list", bool: "value",
}  # fmt: skip


def not_json(file: DataFile, why: str) -> StudioError:
    """The error of a file that breaks the rules of JSON."""
    return StudioError(
        "Not JSON",
        f"“{file.name}” is not valid JSON. {why}",
        'Write one object a line, such as {"messages": [{"role": "user", "content": "…"}, …]}.',
    )


def looks_like_json(file: DataFile) -> bool:
    """Whether the text begins as JSON does."""
    with as_text(file, silent) as (text, _):
        return Values(text.read).peek() in tuple("[{")
