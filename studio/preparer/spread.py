"""How the lengths of rows are spread, counted without keeping them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from studio.core.lengths import BOUNDS, LONGEST, Lengths
from studio.preparer.tokens import Tokens

BARS = 24
Counts = npt.NDArray[np.int64]


class Spread:
    """Counts by the token; rows beyond LONGEST count as that long."""

    def __init__(self) -> None:
        self._counts = np.zeros((4, 1024), np.int64)
        self.rows = self.tokens = self.longest = 0

    def add(self, tokens: Tokens) -> None:
        """The next row."""
        length = min(len(tokens.ids), LONGEST)
        if length >= self._counts.shape[1]:
            room = max(length + 1, 2 * self._counts.shape[1])
            more = np.zeros((4, room - self._counts.shape[1]), np.int64)
            self._counts = np.concatenate([self._counts, more], axis=1)
        rows, trained, begins, ends = self._counts
        rows[length] += 1
        marks = np.frombuffer(bytes(tokens.trained[:length]), np.uint8)
        trained[:length] += marks
        places = np.flatnonzero(marks)
        if len(places):
            begins[places[0]] += 1
            ends[places[-1] + 1] += 1
        self.rows += 1
        self.tokens += len(tokens.ids)
        self.longest = max(self.longest, len(tokens.ids))

    def lengths(self) -> Lengths:
        """The figures in bins."""
        rows, trained, begins, ends = self._counts
        tokens = rows * np.arange(len(rows))
        return Lengths(
            rows=_binned(rows),
            tokens=_binned(tokens),
            trained=_binned(trained),
            begins=_binned(begins),
            ends=_binned(ends),
        )

    def bars(self) -> tuple[int, tuple[int, ...]]:
        """Tokens of a bar, and the rows of each bar of equal width."""
        if not self.rows:
            return 0, ()
        longest = min(self.longest, LONGEST)
        width = max(1, -(-(longest + 1) // BARS))
        bars = np.add.reduceat(self._counts[0][: longest + 1], range(0, longest + 1, width))
        return width, tuple(bars.tolist())


def _binned(counts: Counts) -> tuple[int, ...]:
    begins: Sequence[int] = [bound for bound in BOUNDS if bound < len(counts)]
    sums: list[int] = np.add.reduceat(counts, begins).tolist()
    while sums and not sums[-1]:
        sums.pop()
    return tuple(sums)
