"""How long rows are, and what any sequence length would make of them, without reading again."""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import accumulate

import msgspec

# Rows of one micro-batch, padded, hold at most this many tokens where the studio decides. On a
# processor more of them are a little faster (two micro-batches a step instead of three 3 to 7 %,
# three instead of four 7 %), but each takes memory.
MICRO_BATCH_TOKENS = 2048
CPU_MICRO_BATCH_TOKENS = 1800
EXACT = 64
LONGEST = 1 << 20
"""Tokens; longer rows count as this long."""
_GROWTH = 1.03
_SAMPLED = 2048
USUAL_BATCH = 16


def _bounds() -> tuple[int, ...]:
    bounds = list(range(EXACT))
    while bounds[-1] < LONGEST:
        bounds.append(min(LONGEST, max(bounds[-1] + 1, int(bounds[-1] * _GROWTH))))
    return tuple(bounds)


BOUNDS = _bounds()
"""Where bins begin, in tokens: one token wide below EXACT, then 3 % of their length."""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of rows at one sequence length.

    `cut_rows` are longer; `cut_answers` lose a part of what is to be learnt, `lost_rows` all of
    it. `tokens` and `trained_tokens` are those kept. `padding_share` is the share of padding in
    the batches that training makes, `packing_share` how full lines of this length get when rows
    are packed into them by best fit.
    """

    cut_rows: int = 0
    cut_answers: int = 0
    lost_rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    padding_share: float = 0.0
    packing_share: float = 0.0


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """Rows and tokens in bins that begin at BOUNDS, without the empty bins at the end.

    `rows` counts rows by their length and `tokens` sums their tokens; `trained` counts trained
    tokens by their place in the row; `begins` and `ends` count rows by the place of their first
    trained token, and by the one behind their last.
    """

    rows: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    trained: tuple[int, ...] = ()
    begins: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def at(self, length: int, batch_size: int = USUAL_BATCH) -> Fate:
        """What a sequence length would do; exact at BOUNDS, between them by interpolation."""
        cut = _behind(self.rows, length + 1)
        below, whole = _before(self.tokens, length + 1), sum(self.rows)
        return Fate(
            cut_rows=round(cut),
            cut_answers=round(_behind(self.ends, length + 1)),
            lost_rows=round(_behind(self.begins, length)),
            tokens=round(below + cut * length),
            trained_tokens=round(_before(self.trained, length)),
            padding_share=self.padding(length, batch_size) if whole else 0.0,
            packing_share=self.packing(length) if whole else 0.0,
        )

    def fits(self, share: float) -> int:
        """The least length, in tokens, at which this share of rows isn't cut; 0 without rows."""
        wanted = share * sum(self.rows)
        if not wanted:
            return 0
        for place, reached in enumerate(accumulate(self.rows)):
            if reached >= wanted:
                return BOUNDS[place + 1] - 1 if place + 1 < len(BOUNDS) else LONGEST
        return LONGEST

    def padding(self, length: int, batch_size: int = USUAL_BATCH) -> float:
        """The share of padding in micro-batches as training makes them.

        Each step takes `batch_size` rows by chance, and rows of like length meet in micro-batches
        of so many tokens; reckoned over up to 2048 rows evenly drawn, always the same.
        """
        rows = self._drawn(length)
        random.Random(0).shuffle(rows)
        room = max(MICRO_BATCH_TOKENS, max(rows, default=0))
        kept = padded = 0
        for start in range(0, len(rows), batch_size):
            step = sorted(rows[start : start + batch_size], reverse=True)
            kept += sum(step)
            padded += _padded(step, room)
        return 1 - kept / padded if padded else 0.0

    def packing(self, length: int) -> float:
        """How full lines of `length` tokens get: best fit, the longest rows first."""
        lines = _Lines(length)
        kept = 0
        for tokens, rows in reversed(self._cut_at(length)):
            lines.put(tokens, rows)
            kept += tokens * rows
        return kept / (lines.count * length) if lines.count else 0.0

    def _cut_at(self, length: int) -> list[tuple[int, int]]:
        """Tokens of a row and rows, the shortest first; each bin stands for its mean."""
        found: dict[int, int] = {}
        for rows, tokens in zip(self.rows, self.tokens, strict=True):
            if rows:
                size = max(1, min(length, round(tokens / rows)))
                found[size] = found.get(size, 0) + rows
        return sorted(found.items())

    def _drawn(self, length: int) -> list[int]:
        sizes = self._cut_at(length)
        whole = sum(rows for _, rows in sizes)
        if whole <= _SAMPLED:
            return [tokens for tokens, rows in sizes for _ in range(rows)]
        reached = list(accumulate(rows for _, rows in sizes))
        places = ((2 * i + 1) * whole // (2 * _SAMPLED) for i in range(_SAMPLED))
        return [sizes[bisect_right(reached, place)][0] for place in places]


def binned(place: int) -> int:
    """The bin of a length or place, in tokens."""
    return bisect_right(BOUNDS, min(place, LONGEST)) - 1


def _before(counts: Sequence[float], place: int) -> float:
    """What counts lie below a place; a bin that it divides gives its share."""
    at = binned(place)
    below = float(sum(counts[:at]))
    if at < len(counts) and at + 1 < len(BOUNDS):
        below += counts[at] * (place - BOUNDS[at]) / (BOUNDS[at + 1] - BOUNDS[at])
    return below


def _behind(counts: Sequence[float], place: int) -> float:
    return sum(counts) - _before(counts, place)


def _padded(step: Sequence[int], room: int) -> int:
    """Tokens with padding of one step's rows, the longest first, as the engine groups them."""
    padded = rows = longest = 0
    for length in step:
        if rows and (rows + 1) * longest <= room:
            rows += 1
        else:
            padded += rows * longest
            rows, longest = 1, length
    return padded + rows * longest


class _Lines:
    """Lines of equal length being filled; many lines with the same room left are one entry."""

    def __init__(self, length: int) -> None:
        self.count = 0
        self._length = length
        self._lines: dict[int, int] = {}
        self._rooms: list[int] = []

    def put(self, tokens: int, rows: int) -> None:
        """Rows of this many tokens, each where the least room is left over."""
        while rows:
            place = bisect_right(self._rooms, tokens - 1)
            if place == len(self._rooms):
                self._open(-(-rows // (self._length // tokens)))
                continue
            room = self._rooms[place]
            each = room // tokens
            full = min(self._lines[room], rows // each)
            if not full:
                self._fill(room, 1, rows * tokens)
                return
            self._fill(room, full, each * tokens)
            rows -= full * each

    def _open(self, lines: int) -> None:
        self.count += lines
        self._add(self._length, lines)

    def _fill(self, room: int, lines: int, tokens: int) -> None:
        self._lines[room] -= lines
        if not self._lines[room]:
            del self._lines[room]
            self._rooms.remove(room)
        self._add(room - tokens, lines)

    def _add(self, room: int, lines: int) -> None:
        if room not in self._lines:
            insort(self._rooms, room)
        self._lines[room] = self._lines.get(room, 0) + lines
