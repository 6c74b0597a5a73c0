"""What a sequence length makes of rows: against counting each of them."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.lengths import BOUNDS, EXACT, LONGEST, Lengths, binned

Rows = list[tuple[int, int]]
"""Tokens of a row, and the place of its first trained token; all behind it are trained."""


def lengths(rows: Rows) -> Lengths:
    counts = {key: [0] * len(BOUNDS) for key in ("rows", "tokens", "trained", "begins", "ends")}
    for tokens, first in rows:
        counts["rows"][binned(tokens)] += 1
        counts["tokens"][binned(tokens)] += tokens
        counts["begins"][binned(first)] += 1
        counts["ends"][binned(tokens)] += 1
        for place in range(first, tokens):
            counts["trained"][binned(place)] += 1
    return Lengths(**{key: tuple(value) for key, value in counts.items()})


short_rows = st.lists(
    st.integers(2, EXACT - 2).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))),
    min_size=1,
    max_size=60,
)


@given(rows=short_rows, length=st.integers(1, EXACT - 1))
def test_short_lengths_are_exact(rows: Rows, length: int) -> None:
    fate = lengths(rows).at(length)
    assert fate.cut_rows == fate.cut_answers == sum(tokens > length for tokens, _ in rows)
    assert fate.lost_rows == sum(first >= length for _, first in rows)
    assert fate.tokens == sum(min(tokens, length) for tokens, _ in rows)
    assert fate.trained_tokens == sum(max(0, min(t, length) - first) for t, first in rows)
    assert 0 <= fate.padding_share < 1
    assert 0 < fate.packing_share <= 1


def test_long_lengths_are_near() -> None:
    draw = random.Random(5)
    rows = [(tokens := draw.randint(50, 5000), tokens // 2) for _ in range(400)]
    known = lengths(rows)
    for length in (100, 512, 1000, 2048, 4096, 6000):
        fate = known.at(length)
        assert fate.tokens == pytest.approx(sum(min(t, length) for t, _ in rows), rel=0.01)
        assert fate.cut_rows == pytest.approx(sum(t > length for t, _ in rows), abs=8)
        exact = sum(max(0, min(t, length) - first) for t, first in rows)
        assert fate.trained_tokens == pytest.approx(exact, rel=0.02)


def test_which_length_fits() -> None:
    known = lengths([(10, 1)] * 99 + [(60, 1)])
    assert (known.fits(0.99), known.fits(1.0), Lengths().fits(0.99)) == (10, 60, 0)
    assert 1000 <= lengths([(1000, 1)]).fits(1.0) <= 1030


@given(rows=short_rows)
def test_packing_is_what_best_fit_gives_row_by_row(rows: Rows) -> None:
    rooms: list[int] = []
    for tokens in sorted((tokens for tokens, _ in rows), reverse=True):
        fitting = [room for room in rooms if room >= tokens]
        if fitting:
            rooms.remove(min(fitting))
            rooms.append(min(fitting) - tokens)
        else:
            rooms.append(EXACT - tokens)
    expected = sum(tokens for tokens, _ in rows) / (len(rooms) * EXACT)
    assert lengths(rows).packing(EXACT) == pytest.approx(expected)


def test_padding_counts_what_the_longest_of_a_micro_batch_leaves() -> None:
    alike = lengths([(40, 1)] * 64)
    assert alike.padding(64) == 0
    mixed = lengths([(60, 1)] + [(20, 1)] * 15)
    assert mixed.padding(64, 16) == pytest.approx(1 - (60 + 300) / (16 * 60))
    assert mixed.padding(20, 16) == 0
    long_and_short = lengths([(2000, 1)] + [(20, 1)] * 15)
    assert long_and_short.padding(4096, 16) < 0.02


def test_bins_know_every_length() -> None:
    assert [binned(n) for n in (0, 1, 63)] == [0, 1, 63]
    assert binned(LONGEST * 2) == binned(LONGEST) == len(BOUNDS) - 1
    assert all(low < high for low, high in itertools.pairwise(BOUNDS))
    assert Lengths().at(512).tokens == 0
