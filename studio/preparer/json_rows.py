"""The rows of JSON files: one object a line, or an array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.core.errors import StudioError
from studio.preparer.progress import Tell
from studio.preparer.records import Record, nothing_in, opened, short
from studio.preparer.sources import encoding_of


def lines(path: Path, tell: Tell) -> Iterator[Record]:
    with opened(path, tell) as text:
        good = bad = 0
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            record = _json_record(path, number, line)
            good, bad = good + (not record.problem), bad + bool(record.problem)
            if bad == 20 and not good:
                raise _not_json(path, f"None of its first {bad} lines is a JSON object.")
            yield record
        if not good:
            raise _not_json(path, "None of its lines is a JSON object.")


def _json_record(path: Path, row: int, line: str) -> Record:
    try:
        value = json.loads(line.strip())
    except (ValueError, RecursionError) as error:
        why = f"is not valid JSON ({short(error)})"
        if isinstance(error, json.JSONDecodeError):
            why = f"is not valid JSON ({error.msg} at character {error.pos + 1})"
        return Record(path.name, row, problem=why, fix="Fix or delete this line.")
    return _object(path, row, value)


def _object(path: Path, row: int, value: object) -> Record:
    if isinstance(value, dict):
        return Record(path.name, row, value)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return Record(path.name, row, {"messages": value})
    why = f"is a JSON {_NAMES.get(type(value), 'value')}, not an object with named fields"
    return Record(path.name, row, problem=why, fix='Write it as {"field": "value", …}.')


_NAMES = {str: "string", int: "number", float: "number", list: "list", bool: "value"}


def array(path: Path, tell: Tell) -> Iterator[Record]:
    tell(f"Reading {path.name}", None)
    encoding = encoding_of(path)
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    text = path.read_text(encoding=encoding, errors=errors)
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":  # one object a line, under the name of .json
            raise _not_json(
                path, f"Line {error.lineno}, column {error.colno}: {error.msg}."
            ) from error
        yield from lines(path, tell)
        return
    except (ValueError, RecursionError) as error:
        raise _not_json(path, f"{short(error)}.") from error
    for row, value in enumerate(_rows_of(path, whole), 1):
        tell(f"Reading {path.name}", None)
        yield _object(path, row, value)


def _rows_of(path: Path, whole: object) -> list[Any]:
    """The array itself, or the only list of objects inside an object ({"data": […]})."""
    if isinstance(whole, dict):
        lists = [v for v in whole.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        is_data = len(lists) == 1 and not {"role", "from"} & set(lists[0][0])
        whole = lists[0] if is_data else [whole]
    if not isinstance(whole, list):
        raise _not_json(path, "It holds a single value.")
    if not whole:
        raise nothing_in(path)
    return whole


def _not_json(path: Path, why: str) -> StudioError:
    return StudioError(
        "Not JSON",
        f"“{path.name}” is not valid JSON. {why}",
        'Write one object a line, such as {"messages": [{"role": "user", "content": "…"}, …]}.',
    )
