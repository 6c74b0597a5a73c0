"""Rows as the model will see them: every token with what becomes of it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from studio.core.facts import Example, TokenKind, TokenPiece
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import checks, dataset
from studio.preparer.dataset import Row
from studio.preparer.messages import BadRow, Sample
from studio.preparer.progress import Tell, silent
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
    everything = dataset.rows(dataset.open_all(parts), tell)
    chosen = _by_number(everything, rows) if rows else _by_place(everything, start, count)
    with Encoder(model, data) as encoder:
        return [_example(encoder, row, data) for row in chosen]


def _by_number(rows: Iterator[Row], wanted: Sequence[int]) -> list[Row]:
    found: dict[int, Row] = {}
    for row in rows:
        if row.row in wanted:
            found.setdefault(row.row, row)
        if len(found) == len(set(wanted)):
            break
    return [found[number] for number in wanted if number in found]


def _by_place(rows: Iterator[Row], start: int, count: int) -> list[Row]:
    found: list[Row] = []
    for place, row in enumerate(rows):
        if place >= start + count:
            break
        if place >= start:
            found.append(row)
    return found


def _example(encoder: Encoder, row: Row, data: DataPart) -> Example:
    content: BadRow | Sample | Tokens = row.content
    if isinstance(content, Sample):
        content = encoder.encode([content], data)[0]
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
