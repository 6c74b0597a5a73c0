"""Rows as they stand in their files, by reference: those that a finding names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from studio.core.findings import RowRef, Said, SeenRow
from studio.core.recipe import DatasetPart
from studio.preparer import dataset
from studio.preparer.dataset import Row
from studio.preparer.messages import BadRow
from studio.preparer.progress import Tell, Throttled, silent

_LONGEST = 20_000
"""Characters of a message that are shown."""

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
    places = sorted({ref.part for ref in refs if ref.part < len(opened)})
    for place in places:
        missing = {key for key in wanted if key[0] == place}
        for row in dataset.rows([opened[place]], Throttled(tell)):
            key = (place, row.file, row.row)
            if key in missing:
                found[key] = SeenRow(place=wanted[key], said=tuple(_said(row)), problem=_why(row))
                missing.remove(key)
                if not missing:
                    break
    return [found[key] for key in wanted if key in found]


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
