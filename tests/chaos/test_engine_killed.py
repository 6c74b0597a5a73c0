"""kill -9 at moments chosen by seed: the run ends as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.library.folders import Home
from tests.chaos.arena import SAVE_SECONDS, Arena, Row, table

SUITE_KILLS, LONG_KILLS = 15, 210
SEED = 20261122
SLACK_SECONDS = 5.0
"""A step, an evaluation and a checkpoint on a machine that does other things meanwhile."""


@pytest.fixture
def arena(home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arena]:
    """A keeper and engines of one thread each."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arena = Arena(home, tiny_model)
    try:
        arena.prepare()
        yield arena
    finally:
        arena.close()


def judge(arena: Arena, rows: list[Row], kills: int) -> None:
    struck = Counter(moment for row in rows for moment in row.kills)
    print(f"\n{table(rows)}\nkilled while: {dict(struck)}, seed {SEED}")
    assert [text for row in rows for text in row.mismatches] == []
    assert arena.leftovers() == []
    assert struck.total() == kills
    assert set(struck) == {"any", "saving", "evaluating", "publishing"}
    lost = [seconds for row in rows for _, seconds in row.lost]
    assert max(lost) < SAVE_SECONDS + SLACK_SECONDS


@pytest.mark.timeout(600)
def test_runs_survive_kills(arena: Arena) -> None:
    judge(arena, arena.rage(SUITE_KILLS, SEED), SUITE_KILLS)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_runs_survive_two_hundred_kills(arena: Arena) -> None:
    judge(arena, arena.rage(LONG_KILLS, SEED + 100), LONG_KILLS)
