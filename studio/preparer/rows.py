"""Rows as they stand in their files, by reference: those that a finding names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from studio.core.findings import RowRef, Said, SeenRow
from studio.core.recipe import DatasetPart
from studio.preparer import dataset, places
from studio.preparer.dataset import Opened, Row
from studio.preparer.messages import BadRow
from studio.preparer.progress import Tell, Throttled, silent

_LONGEST = 20_000
"""Characters of a message that are shown."""

COLUMNS = ("parquet", "arrow")
"""Kinds in which many single rows take longer than reading all of them."""
_Key = tuple[int, str, int]


def rows(
    parts: Sequence[DatasetPart], refs: Sequence[RowRef], tell: Tell = silent
) -> list[SeenRow]:
    """The rows in the order of their references, without those that are there no more.

    Raises StudioError as inspect does.
    """
    wanted = {_key(ref): ref for ref in refs}
    found: dict[_Key, SeenRow] = {}
    opened = dataset.open_all(parts)
    for place in sorted({ref.part for ref in refs if ref.part < len(opened)}):
        missing = {key for key in wanted if key[0] == place}
        if opened[place].about.kind not in COLUMNS:
            for key in missing:
                if row := _row(opened[place], key, tell):
                    found[key] = _seen(wanted[key], row)
            continue
        for row in dataset.rows([opened[place]], Throttled(tell)):
            key = (place, row.file, row.row)
            if key in missing:
                found[key] = _seen(wanted[key], row)
                missing.remove(key)
                if not missing:
                    break
    return [found[key] for key in wanted if key in found]


def _row(one: Opened, key: _Key, tell: Tell) -> Row | None:
    place, name, number = key
    file = next((file for file in one.files if file.name == name), None)
    record = places.numbered(file, number, tell) if file else None
    return dataset.row_of(one, place, record, False) if record else None


def _seen(ref: RowRef, row: Row) -> SeenRow:
    return SeenRow(place=ref, said=tuple(_said(row)), problem=_why(row))


def _key(ref: RowRef) -> _Key:
    return ref.part, ref.file, ref.row


def _why(row: Row) -> str:
    if not isinstance(row.content, BadRow):
        return ""
    return f"Row {row.row} {row.content.why}. {row.content.fix}".strip()


def _said(row: Row) -> Iterator[Said]:
    sample = row.content
    if isinstance(sample, BadRow):
        return
    if sample.ids:
        yield Said(text=f"{len(sample.ids)} token ids")
    elif not sample.messages:
        yield Said(text=sample.text[:_LONGEST])
    for message in sample.messages:
        calls = [_written(call) for call in message.get("tool_calls") or ()]
        text = "\n".join(filter(None, [message["content"], *calls]))
        yield Said(text=text[:_LONGEST], role=message["role"])


def _written(call: Any) -> str:
    return msgspec.json.encode(call).decode()
