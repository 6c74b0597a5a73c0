"""The prepared rows of a run, and which of them each step learns from."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from studio.core.errors import StudioError
from studio.core.recipe import TrainingPart

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """Token ids of one row and what is to be predicted at each: -100 is not learnt."""

    input_ids: Ints
    labels: Ints

    def __len__(self) -> int:
        return len(self.input_ids)


class Rows:
    """Rows of an arrow file, mapped into memory and never copied whole, however large it is."""

    def __init__(self, table: pa.Table) -> None:
        pairs = zip(table["input_ids"].chunks, table["labels"].chunks, strict=True)
        self._chunks = [_Chunk(*pair) for pair in pairs]
        self._ends = list(accumulate(len(chunk.lengths) for chunk in self._chunks))

    @classmethod
    def open(cls, path: Path) -> Rows:
        """The rows of an Arrow IPC file; none where there is no file.

        Raises StudioError when the file can't be read.
        """
        if not path.exists():
            return cls(_no_rows())
        try:
            return cls(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
        except (pa.ArrowInvalid, KeyError, OSError) as error:
            raise StudioError(
                "Prepared data is damaged",
                f"“{path.name}” in the run's folder can't be read: {error}.",
                "Start the run anew; the data is prepared again then.",
            ) from error

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Row:
        place = bisect_right(self._ends, index)
        first = self._ends[place - 1] if place else 0
        return self._chunks[place].row(index - first)

    @cached_property
    def lengths(self) -> Ints:
        """Tokens of each row."""
        return np.concatenate([np.zeros(0, np.int64), *(c.lengths for c in self._chunks)])

    @property
    def longest(self) -> int:
        """Tokens of the longest row; 0 without rows."""
        return int(self.lengths.max()) if len(self) else 0


class _Chunk:
    """Rows that lie together in the file, as views of it."""

    def __init__(self, input_ids: pa.ListArray, labels: pa.ListArray) -> None:
        self._ids, self._labels = (_View.of(column) for column in (input_ids, labels))
        self.lengths = np.diff(self._ids.offsets).astype(np.int64)

    def row(self, index: int) -> Row:
        return Row(self._ids.row(index), self._labels.row(index))


class _View(NamedTuple):
    """A column of lists: all values one after the other, and where each list begins."""

    values: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]

    @classmethod
    def of(cls, column: pa.ListArray) -> _View:
        return cls(column.values.to_numpy(), column.offsets.to_numpy())

    def row(self, index: int) -> Ints:
        return self.values[self.offsets[index] : self.offsets[index + 1]].astype(np.int64)


@dataclass(frozen=True)
class Steps:
    """Which rows each optimizer step takes: a pure function of the step's number.

    So the position in the data needs no state of its own: a resumed run asks for step k and
    gets the rows that an uninterrupted one would have got.
    """

    rows: int
    batch_size: int
    total: int
    seed: int

    @classmethod
    def plan(cls, rows: int, training: TrainingPart) -> Steps:
        """The steps of a run over this many rows. Raises StudioError without rows."""
        if rows == 0:
            raise StudioError(
                "Nothing to train on",
                "The prepared data has no rows.",
                "Check the dataset, its columns and the maximum length.",
            )
        per_epoch = math.ceil(rows / training.batch_size)
        total = training.max_steps or math.ceil(training.epochs * per_epoch)
        return cls(rows, training.batch_size, max(1, total), training.seed)

    @property
    def per_epoch(self) -> int:
        """Optimizer steps of one pass over the rows; the last may be smaller."""
        return math.ceil(self.rows / self.batch_size)

    def epoch(self, done: int) -> float:
        """How many passes `done` steps are."""
        return done / self.per_epoch

    def of(self, step: int) -> list[int]:
        """The rows of a step, counted from 0."""
        epoch, place = divmod(step, self.per_epoch)
        order = _order(self.seed, epoch, self.rows)
        start = place * self.batch_size
        return [int(row) for row in order[start : start + self.batch_size]]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, rows: int) -> Ints:
    return np.asarray(np.random.default_rng([seed, epoch]).permutation(rows))


def _no_rows() -> pa.Table:
    empty = pa.array([], type=pa.list_(pa.int32()))
    return pa.table({"input_ids": empty, "labels": empty})
