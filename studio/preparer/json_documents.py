"""Where the rows are in a JSON document that isn't one object a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from studio.preparer.json_values import Values
from studio.preparer.layout import is_evaluation

WHOLE = 32 << 20
"""Characters of an object up to which it is read at once; beyond, its first array of objects
is taken for the rows."""
_DEPTH = 4


class Found(NamedTuple):
    """One row; `aside` where the key above it says test, validation or the like."""

    value: Any
    aside: bool = False


def rows(values: Values) -> Iterator[Found]:
    """The rows of everything in the text, in their order; raises NotJson."""
    first = True
    while values.peek():
        if values.take("["):
            yield from map(Found, _items(values))
        elif values.peek() == "{" and first and not values.rest(WHOLE):
            yield from map(Found, _large(values))
            return
        else:
            value = values.value()
            if first and not isinstance(value, dict):
                raise values.error("it holds a single value")
            alone = first and not values.peek()
            yield from _of_object(value) if alone else (Found(value),)
        values.take(",")
        first = False


def _items(values: Values) -> Iterator[Any]:
    """What stands in an array whose bracket is passed; one comma too many does no harm."""
    while not values.take("]"):
        if not values.peek():
            raise values.error("the list is never closed")
        yield values.value()
        if not values.take(",") and values.peek() != "]":
            raise values.error("a comma is missing between two values")


def _large(values: Values) -> Iterator[Any]:
    """The first array of objects in an object that is too large to hold."""
    values.take("{")
    while not values.take("}"):
        values.value()
        if not values.take(":"):
            raise values.error("a colon is missing behind a name")
        if values.take("["):
            if values.peek() == "{":
                yield from _items(values)
                return
            for _ in _items(values):
                pass
        else:
            values.value()
        values.take(",")
    raise values.error("it holds no array of objects")


def _of_object(whole: dict[str, Any]) -> Iterator[Found]:
    """The rows of a table written as an object, or else the object itself as the only row."""
    for read in (_splits, _by_columns, _by_index):
        if found := read(whole):
            yield from found
            return
    inner = _only_rows(whole, _DEPTH)
    yield from map(Found, inner) if inner is not None else (Found(whole),)


def _splits(whole: Mapping[str, Any]) -> list[Found]:
    """Arrays of objects under names such as train and test."""
    lists = {key: value for key, value in whole.items() if _are_rows(value)}
    if len(lists) < 2 or "train" not in (key.casefold() for key in lists):
        return []
    return [Found(value, is_evaluation(key)) for key, rows in lists.items() for value in rows]


def _by_columns(whole: Mapping[str, Any]) -> list[Found]:
    """{"a": [1, 2], "b": [3, 4]}, and what pandas writes with orient="split"."""
    columns, data = whole.get("columns"), whole.get("data")
    if isinstance(columns, list) and isinstance(data, list) and _strings(columns):
        if all(isinstance(row, list) and len(row) == len(columns) for row in data):
            return [Found(dict(zip(columns, row, strict=True))) for row in data]
        return []
    lists = list(whole.values())
    if not lists or not all(isinstance(column, list) and column for column in lists):
        return []
    if len({len(column) for column in lists}) > 1 or ("input_ids" in whole and _flat(lists[0])):
        return []
    if len(lists) == 1 and all(isinstance(item, dict) for item in lists[0]):
        return []
    return [Found(dict(zip(whole, row, strict=True))) for row in zip(*lists, strict=True)]


def _by_index(whole: Mapping[str, Any]) -> list[Found]:
    """What pandas writes with orient="index" or "columns": objects in an object."""
    inner = list(whole.values())
    if len(inner) < 2 or not all(isinstance(value, dict) and value for value in inner):
        return []
    keys = [tuple(value) for value in inner]
    if all(key.isdigit() for key in whole):
        return [Found(value) for value in inner]
    if len(set(keys)) == 1 and all(key.isdigit() for key in keys[0]):
        return [Found({name: column[key] for name, column in whole.items()}) for key in keys[0]]
    return []


def _only_rows(whole: Mapping[str, Any], depth: int) -> list[Any] | None:
    """The only array of objects in an object or in objects within it; messages are no rows."""
    lists = [value for value in whole.values() if _are_rows(value)]
    if len(lists) == 1:
        found = lists[0]
        if all(set(row) >= {"row_idx", "row"} for row in found):  # of the hub's rows API
            return [row["row"] for row in found]
        return None if {"role", "from"} & set(found[0]) else found
    inner = [value for value in whole.values() if isinstance(value, dict)]
    if lists or not depth or len(inner) != 1:
        return None
    return _only_rows(inner[0], depth - 1)


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _strings(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _flat(values: list[Any]) -> bool:
    return all(isinstance(value, int) for value in values)
