"""The first rows of a dataset, and what they would be learnt as: quick, whatever its size."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from studio.core.facts import Alternative, FirstRows
from studio.core.recipe import DatasetPart
from studio.library import datasets
from studio.preparer import fields, formats, pieces, shapes
from studio.preparer.messages import BadRow, Sample
from studio.preparer.progress import silent
from studio.preparer.samples import sample
from studio.preparer.shapes import Recognition, Unrecognised
from studio.preparer.sources import files_of

SHOWN = 12
LONGEST_CELL = 200
LONGEST_SAID = 4000
"""Characters of a cell, and of one message of the first row."""


def first_rows(part: DatasetPart) -> FirstRows:
    """The first rows as short texts under their columns, and what the mapping makes of them.

    Columns that don't say what is to be learnt are a `problem` of the answer. Raises StudioError
    where the file can't be read.
    """
    file = files_of(datasets.resolve(part), part).train[0]
    records = itertools.islice(formats.read(file, silent), 2 * shapes.LOOKED_AT)
    known = [one.values for one in records if not one.problem][: shapes.LOOKED_AT]
    columns = shapes.columns_of(known)
    seen = FirstRows(columns=columns, rows=tuple(_cells(one, columns) for one in known[:SHOWN]))
    seen = msgspec.structs.replace(seen, readings=_readings(known, columns))
    try:
        return _recognised(seen, shapes.recognise(known, part.columns), known)
    except Unrecognised as error:
        return msgspec.structs.replace(seen, problem=error.text, fix=error.fix)


def _recognised(
    seen: FirstRows, found: Recognition, known: Sequence[Mapping[str, Any]]
) -> FirstRows:
    place, said, problem = _first(known, found.roles)
    return msgspec.structs.replace(
        seen,
        format=found.format,
        roles=found.roles,
        learnt=found.learnt,
        unmapped=pieces.unmapped(found, seen.columns),
        shown_row=place,
        says=said,
        problem=problem,
    )


def _readings(
    known: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> tuple[Alternative, ...]:
    """What the rows may be read as by themselves, the likeliest first."""
    try:
        best = shapes.recognise(known, {})
    except Unrecognised:
        return ()
    itself = Alternative(
        format=best.format,
        confidence=best.confidence,
        reason=best.reason,
        roles=best.roles,
        learnt=best.learnt,
    )
    others: tuple[Alternative, ...] = pieces.recognised(best, columns)["alternatives"]
    return (itself, *others)


def _first(
    known: Sequence[Mapping[str, Any]], roles: Mapping[str, str]
) -> tuple[int, tuple[tuple[str, str], ...], str]:
    """The first row that gives a sample: its place from 0, what it says, or why none does."""
    problem = ""
    for place, values in enumerate(known):
        try:
            return place, _said(sample(values, roles)), ""
        except BadRow as bad:
            problem = problem or f"Row {place + 1} {bad.why}."
    return 0, (), problem


def _said(one: Sample) -> tuple[tuple[str, str], ...]:
    if one.messages:
        return tuple((m["role"], _short(m.get("content") or m)) for m in one.messages)
    return (("text", _short(one.text or one.ids)),)


def _short(value: object, length: int = LONGEST_SAID) -> str:
    text = value if isinstance(value, str) else _written(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def _written(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _cells(values: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(_short(fields.at(values, column), LONGEST_CELL) for column in columns)
