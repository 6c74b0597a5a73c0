"""Cutting a text into passages of a size, at the borders of its paragraphs where that can be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

Measure = Callable[[str], int]
"""How large a text is: its characters, or its tokens for some model."""

_BORDERS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?…])\s+|(?<=[。\uff01\uff1f])"),
    re.compile(r"\s+"),
)
_SENTENCES = 2
"""The last of _BORDERS at which an overlap may begin."""


class Piece(NamedTuple):
    """A stretch of a text, the line (from 1) on which it begins, and what stands before it."""

    text: str
    line: int
    before: str = "\n\n"


def passages(
    pieces: Iterable[Piece], size: int, measure: Measure, overlap: int = 0
) -> Iterator[Piece]:
    """Passages of at most `size`, each but the first beginning with up to `overlap` of the last.

    Pieces stay whole if they fit; one that doesn't is cut at blank lines, else at lines,
    sentences, words, and last of all anywhere. Raises ValueError unless 0 <= overlap < size.
    """
    if not 0 <= overlap < size:
        raise ValueError("the overlap is as large as the passages")
    held: list[Piece] = []
    fresh, known = False, 0
    for piece in _small(pieces, size, measure):
        added = measure(piece.before + piece.text)
        if held and known + added > size:
            known = measure(_joined([*held, piece])) - added  # a sum overstates it
        if fresh and known + added > size:
            yield from _sure(held, size, measure)
            held, fresh = _tail(held, min(overlap, size - added), measure), False
            known = measure(_joined(held)) if held else 0
        held.append(piece)
        fresh, known = True, known + added
    if fresh:
        yield from _sure(held, size, measure)


def _sure(held: Sequence[Piece], size: int, measure: Measure) -> Iterator[Piece]:
    """The passage, in halves if tokens together are more than tokens apart."""
    whole = _whole(held)
    if len(held) == 1 or measure(whole.text) <= size:
        yield whole
    else:
        middle = len(held) // 2
        yield from _sure(held[:middle], size, measure)
        yield from _sure(held[middle:], size, measure)


def _small(pieces: Iterable[Piece], size: int, measure: Measure) -> Iterator[Piece]:
    for piece in pieces:
        yield from _cut(piece, size, measure, 0)


def _cut(piece: Piece, size: int, measure: Measure, border: int) -> Iterator[Piece]:
    if measure(piece.text) <= size:
        yield piece
    elif border < len(_BORDERS):
        for part in _parts(piece, _BORDERS[border]):
            yield from _cut(part, size, measure, border + 1)
    else:
        yield from _anywhere(piece, size, measure)


def _parts(piece: Piece, border: re.Pattern[str]) -> Iterator[Piece]:
    start, before, line = 0, piece.before, piece.line
    for found in [*border.finditer(piece.text), None]:
        text = piece.text[start : found.start() if found else None]
        if text.strip():
            yield Piece(text, line, before)
            before = found.group() if found else ""
        if found:
            line += text.count("\n") + found.group().count("\n")
            start = found.end()


def _anywhere(piece: Piece, size: int, measure: Measure) -> Iterator[Piece]:
    """Halves of halves: a word that is longer than a passage has no better border."""
    middle = len(piece.text) // 2
    if not middle or measure(piece.text) <= size:
        yield piece
        return
    yield from _anywhere(Piece(piece.text[:middle], piece.line, piece.before), size, measure)
    yield from _anywhere(Piece(piece.text[middle:], piece.line, ""), size, measure)


def _tail(held: Sequence[Piece], overlap: int, measure: Measure) -> list[Piece]:
    """The end of a passage that is no larger than the overlap: paragraphs, else sentences."""
    kept: list[Piece] = []
    for piece in reversed(held):
        if measure(_joined([piece, *kept])) > overlap:
            if not kept and overlap:
                return _tail_of(piece, overlap, measure)
            break
        kept.insert(0, piece)
    return kept


def _tail_of(piece: Piece, overlap: int, measure: Measure) -> list[Piece]:
    kept: list[Piece] = []
    for part in reversed(list(_parts(piece, _BORDERS[_SENTENCES]))):
        if measure(_joined([part, *kept])) > overlap:
            break
        kept.insert(0, part)
    return kept


def _whole(held: Sequence[Piece]) -> Piece:
    return Piece(_joined(held), held[0].line)


def _joined(held: Sequence[Piece]) -> str:
    first, rest = held[0].text, held[1:]
    return first + "".join(piece.before + piece.text for piece in rest)
