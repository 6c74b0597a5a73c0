"""Rows as the model will see them: every token with what becomes of it."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from studio.core.facts import Example, TokenKind, TokenPiece
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import checks, dataset, places
from studio.preparer.dataset import Opened, Row
from studio.preparer.messages import BadRow, Sample
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell, silent
from studio.preparer.repairs import mended
from studio.preparer.tokens import Encoder, Tokens


def examples(
    parts: Sequence[DatasetPart],
    model: Path,
    data: DataPart,
    rows: Sequence[int] = (),
    start: int = 0,
    count: int = 10,
    tell: Tell = silent,
) -> list[Example]:
    """The rows of these line numbers, or else `count` rows from the `start`-th on (from 0).

    Rows that can't be used are among them, with their problem. Raises StudioError as inspect does.
    """
    opened = dataset.open_all(parts)
    chosen = _by_number(opened, rows, tell) if rows else _by_place(opened, start, count, tell)
    with Encoder(model, data) as encoder:
        return [_example(encoder, row, data) for row in chosen]


def _by_number(opened: Sequence[Opened], wanted: Sequence[int], tell: Tell) -> list[Row]:
    if _limited(opened):
        found: dict[int, Row] = {}
        for row in dataset.rows(opened, tell):
            if row.row in wanted:
                found.setdefault(row.row, row)
            if len(found) == len(set(wanted)):
                break
        return [found[number] for number in wanted if number in found]
    rows = (_numbered(opened, number, tell) for number in wanted)
    return [row for row in rows if row is not None]


def _numbered(opened: Sequence[Opened], number: int, tell: Tell) -> Row | None:
    """The first row of this number in any of the files."""
    for place, one, file, aside in _files(opened):
        if record := places.numbered(file, number, tell):
            return dataset.row_of(one, place, record, aside)
    return None


def _by_place(opened: Sequence[Opened], start: int, count: int, tell: Tell) -> list[Row]:
    if _limited(opened):
        return list(itertools.islice(dataset.rows(opened, tell), start, start + count))
    found: list[Row] = []
    for place, one, file, aside in _files(opened):
        records = itertools.islice(places.records(file, start, tell), count - len(found))
        found += [dataset.row_of(one, place, record, aside) for record in records]
        if len(found) == count:
            break
        start = max(0, start - places.count(file, start, tell))
    return found


def _limited(opened: Sequence[Opened]) -> bool:
    """Whether which rows there are takes reading them all."""
    return any(one.part.limit for one in opened)


def _files(opened: Sequence[Opened]) -> Iterator[tuple[int, Opened, DataFile, bool]]:
    for place, one in enumerate(opened):
        for files, aside in ((one.train, False), (one.evaluation, True)):
            for file in files:
                yield place, one, file, aside


def _example(encoder: Encoder, row: Row, data: DataPart) -> Example:
    content: BadRow | Sample | Tokens = row.content
    if isinstance(content, Sample):
        content = encoder.encode([mended(content, data.repair)], data)[0]
    if isinstance(content, BadRow):
        return Example(row=row.row, problem=f"Row {row.row} {content.why}. {content.fix}".strip())
    if not content.text:
        content = encoder.spelt(content)
    return Example(
        row=row.row,
        pieces=tuple(_pieces(content, encoder.special, data.max_length)),
        checks=checks.of_row(content, data.max_length, f"Row {row.row}", row.row),
    )


def _pieces(tokens: Tokens, special: Container[int], length: int) -> Iterator[TokenPiece]:
    """Every character stands in exactly one piece; a character of several tokens in the first."""
    done = 0
    for index, (token, (_, end)) in enumerate(zip(tokens.ids, tokens.offsets, strict=True)):
        kind: TokenKind = "cut" if index >= length else "context"
        if kind == "context" and tokens.trained[index]:
            kind = "trained"
        text = tokens.text[done : max(done, end)]
        done = max(done, end)
        yield TokenPiece(id=token, text=text, kind=kind, special=token in special)
