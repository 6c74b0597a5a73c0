"""Texts as numbers that stand for their words: many rows at once, fast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.uint64]
MOST = 200_000
"""Characters of a text that are looked at."""
# scripts without blanks between words: each letter counts as a word
_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[^\W_{_ALONE}]+|[{_ALONE}]")


def words_of(text: str) -> list[str]:
    """The words of a text without case and punctuation."""
    return _WORD.findall(text[:MOST].casefold())


def numbers(words: Sequence[str]) -> npt.NDArray[np.uint32]:
    """A number for each word: always the same for the same word."""
    return np.fromiter(
        (crc32(word.encode("utf-8", "surrogatepass")) for word in words), np.uint32, len(words)
    )


def mixed(values: Ints) -> Ints:
    """The numbers scattered evenly over 64 bits (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Batch:
    """Rows as numbers of words, one behind the other."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        self.rows = len(rows)
        self.counts = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        self.numbers = numbers([word for row in rows for word in row])
        self.row = np.repeat(np.arange(self.rows), self.counts)
        """The row of each word."""

    def shingles(self, size: int) -> tuple[Ints, npt.NDArray[np.int64]]:
        """Each sequence of `size` words as a number, and its row; a shorter row is one of all its
        words."""
        last = np.repeat(np.cumsum(self.counts), self.counts)
        found = np.zeros(len(self.numbers), np.uint64)
        place = np.arange(len(self.numbers))
        begins = place + np.minimum(size, self.counts[self.row]) <= last
        for step in range(size):
            behind = np.minimum(place + step, max(len(place) - 1, 0))
            word = self.numbers[behind].astype(np.uint64) + np.uint64(1)
            word[place + step >= last] = 0
            found = mixed(found + word + np.uint64(0x9E3779B97F4A7C15))
        return found[begins], self.row[begins]


class Column:
    """A growing array with one value, or `width` of them, for each row."""

    def __init__(self, dtype: npt.DTypeLike, width: int = 0) -> None:
        self._array = np.zeros((1024, width) if width else 1024, dtype)
        self._rows = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """Append rows."""
        behind = self._rows + len(values)
        if behind > len(self._array):
            longer = max(behind, len(self._array) * 3 // 2)
            self._array.resize((longer, *self._array.shape[1:]), refcheck=False)
        self._array[self._rows : behind] = values
        self._rows = behind

    def __len__(self) -> int:
        return self._rows

    @property
    def values(self) -> npt.NDArray[Any]:
        """All rows so far, without a copy: not to be kept while rows are added."""
        return self._array[: self._rows]
