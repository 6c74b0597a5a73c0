"""What a column's name means in a row: a field, a path into one, or a text made of several."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import filterfalse
from typing import Any

from studio.preparer.messages import BadRow, broken, clean

DEEPEST = 4
_PLACE = re.compile(r"\{([^{}]+)\}")


def at(values: Mapping[str, Any], column: str) -> Any:
    """The value of a column; None where the row has none.

    “a.b.0” is the first of the list b in the field a, unless a field is called so. “{a}: {b}”
    is a text with the fields a and b in it.
    """
    if column in values:
        return values[column]
    if is_pattern(column):
        return _PLACE.sub(lambda found: _written(at(values, found.group(1))), column)
    return _along(values, column)


def is_pattern(column: str) -> bool:
    """Whether a column of a mapping is a text with fields in it."""
    return bool(_PLACE.search(column))


def named_in(column: str) -> list[str]:
    """The columns that a column of a mapping stands for."""
    return _PLACE.findall(column) or [column]


def paths(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Every column of these rows, and behind each that holds objects the paths into them."""
    found: dict[str, None] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name)
            for inner in filterfalse(broken, _inside(value, DEEPEST)):
                found.setdefault(f"{name}.{inner}")
    top = dict.fromkeys(name for row in rows for name in row)
    return tuple(path for name in top for path in found if path == name or _below(path, name, top))


def has(columns: Sequence[str], column: str) -> bool:
    """Whether a path is among the columns, or leads into a list that is."""
    path = column
    while path not in columns:
        path, dot, last = path.rpartition(".")
        if not dot or not last:
            return False
        if path in columns:
            return last.isdigit() or any(part.isdigit() for part in column.split("."))
    return True


def text_in(values: Mapping[str, Any], column: str) -> str:
    """The text of a column; numbers and the first of several texts count. Raises BadRow."""
    value = at(values, column)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        value = value[0]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise BadRow(f"has nothing in “{column}”", "Fill it in or delete the row.")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise BadRow(f"has no text in “{column}”", "Write it as a string.")
    if not value.strip():
        raise BadRow(f"is empty in “{column}”", "Fill it in or delete the row.")
    return clean(value)


def _written(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def _along(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _inside(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            yield str(name)
            yield from (f"{name}.{rest}" for rest in _inside(inner, depth - 1))


def _below(path: str, name: str, top: Mapping[str, None]) -> bool:
    return path.startswith(f"{name}.") and path not in top
