"""Rows that are nearly the same, found in linear time.

MinHash (Broder, 1997) over sequences of three words: ten bands of three minima find candidates,
and a sketch of 128 bins (one permutation hashing, Li, Owen and Zhang, 2012) estimates how many
sequences two rows share of all that either has. From 0.8 on rows are nearly the same. Two rows at
0.8 become candidates with 99.9 %; the estimate is then off by 0.035 (standard error), less
for short rows. Sequences that most rows have, as of a common instruction, don't count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from studio.preparer.grouping import Places, join
from studio.preparer.progress import Tell, silent
from studio.preparer.words import Batch, Column, Ints, mixed

ALIKE = 0.8
SIZE = 3
BINS = 128
_BANDS, _MINIMA = 10, 3
_LEARNT_FROM = 1000
_FEW = 50
_CHUNK = 1 << 15
_NEIGHBOURS = 4
_NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
_FACTORS = mixed(np.arange(1, _BANDS * _MINIMA + 1, dtype=np.uint64)) | np.uint64(1)


class Twins(NamedTuple):
    """For each row the earlier row that it nearly repeats, or -1; and the least row of all that
    it is joined with, over any number of steps."""

    of: Places
    group: Places


class Sketches:
    """What is kept of each row: 168 bytes."""

    def __init__(self) -> None:
        self._sketch = Column(np.uint8, BINS)
        self._bands = Column(np.uint32, _BANDS)
        self._first: list[Batch] | None = []
        self._common: Ints = np.zeros(0, np.uint64)

    def add(self, batch: Batch) -> None:
        """The next rows."""
        if self._first is None:
            self._take(batch)
            return
        self._first.append(batch)
        if sum(one.rows for one in self._first) >= _LEARNT_FROM:
            self._begin()

    def find(self, firsts: Places, tell: Tell = silent) -> Twins:
        """The twins among these rows, which ascend; all others have none."""
        self._begin()
        self._sketches = self._sketch.values
        rows = len(self._sketches)
        group, nearest = np.arange(rows), np.full(rows, rows)
        for band in range(_BANDS):
            for one, other in self._candidates(firsts, band):
                tell("Comparing the rows", band / _BANDS)
                alike = self._alike(one, other)
                one, other = one[alike], other[alike]
                np.minimum.at(nearest, other, one)
                join(group, one, other)
        return Twins(self._kept(nearest), group)

    def _begin(self) -> None:
        """The first rows say which sequences are common; then they are taken."""
        waiting, self._first = self._first or [], None
        self._common = _common(waiting)
        for batch in waiting:
            self._take(batch)

    def _take(self, batch: Batch) -> None:
        shingles, row = batch.shingles(SIZE)
        own = ~np.isin(shingles, self._common)
        bare = np.setdiff1d(row, row[own])  # of these nothing but what is common would be left
        whole = np.isin(row, bare)
        if len(bare):
            sums = np.zeros(batch.rows, np.uint64)
            np.add.at(sums, row[whole], shingles[whole])
            shingles = np.concatenate([shingles[own], mixed(sums[bare])])
            row = np.concatenate([row[own], bare])
            order = np.argsort(row, kind="stable")
            shingles, row = shingles[order], row[order]
        else:
            shingles, row = shingles[own], row[own]
        self._sketch.add(_sketch(shingles, row, batch.rows))
        self._bands.add(_bands(shingles, row, batch.rows))

    def _candidates(self, firsts: Places, band: int) -> Iterator[tuple[Places, Places]]:
        """Pairs of rows that agree in a band, the earlier row first."""
        keys = self._bands.values[firsts, band].astype(np.uint32)
        some = keys != 0
        rows, keys = firsts[some], keys[some]
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        new = np.ones(len(keys), bool)
        new[1:] = keys[1:] != keys[:-1]
        place = np.arange(len(keys))
        begin = np.maximum.accumulate(np.where(new, place, 0)) if len(keys) else place
        partners = [begin, *(np.maximum(place - step, begin) for step in range(1, _NEIGHBOURS + 1))]
        for start in range(0, len(keys), _CHUNK):
            part = slice(start, start + _CHUNK)
            for partner in partners:
                real = partner[part] < place[part]
                if real.any():
                    yield rows[partner[part][real]], rows[part][real]

    def _alike(self, one: Places, other: Places) -> npt.NDArray[np.bool_]:
        a, b = self._sketches[one], self._sketches[other]
        either = (a | b) != 0
        same = (a == b) & either
        return np.asarray(same.sum(axis=1) >= ALIKE * either.sum(axis=1))

    def _kept(self, nearest: Places) -> Places:
        """For each row the row that stays in its place: itself like it, and with no such row."""
        of = np.full(len(nearest), -1)
        for row in np.flatnonzero(nearest < len(nearest)).tolist():
            keeper = nearest[row]
            if of[keeper] >= 0:
                keeper = of[keeper]
                pair = np.array([keeper]), np.array([row])
                if not self._alike(*pair)[0]:
                    continue
            of[row] = keeper
        return of


def _common(batches: list[Batch]) -> Ints:
    """Sequences of words that more than half of the rows have; none where rows are few."""
    seen = []
    rows = 0
    for batch in batches:
        shingles, row = batch.shingles(SIZE)
        pairs = np.unique(np.stack([row.astype(np.uint64), shingles]), axis=1)
        seen.append(pairs[1])
        rows += batch.rows
    if rows < _FEW:
        return np.zeros(0, np.uint64)
    values, counts = np.unique(np.concatenate(seen), return_counts=True)
    return values[counts * 2 > rows]


def _sketch(shingles: Ints, row: Places, rows: int) -> npt.NDArray[np.uint8]:
    """For each bin of each row a byte that stands for its least number; 0 for an empty bin."""
    least = np.full(rows * BINS, _NOTHING)
    np.minimum.at(least, row * BINS + (shingles >> np.uint64(57)).astype(np.int64), shingles)
    marks = (least % np.uint64(255)).astype(np.uint8) + np.uint8(1)
    marks[least == _NOTHING] = 0
    return marks.reshape(rows, BINS)


def _bands(shingles: Ints, row: Places, rows: int) -> npt.NDArray[np.uint32]:
    """The minima of each band as one number; 0 for rows without words."""
    bands = np.zeros((rows, _BANDS), np.uint32)
    if not len(shingles):
        return bands
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    for band in range(_BANDS):
        key = np.zeros(len(begins), np.uint64)
        for factor in _FACTORS[band * _MINIMA : (band + 1) * _MINIMA]:
            key = mixed(key + np.minimum.reduceat(shingles * factor, begins))
        bands[row[begins], band] = (key >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
    return bands
