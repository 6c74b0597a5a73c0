"""The guard of a home, and a card with a desktop on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.core import commands
from studio.library import runs
from tests.keeper.watching import Desk, Watch
from tests.support.keeping import Bench
from tests.support.nvml import FakeCards


@pytest.fixture
def watch(bench: Bench) -> Iterator[Watch]:
    watch = Watch(bench)
    yield watch
    for row in runs.listing(bench.home):
        if row.living:
            watch.engines.tell(row.path, commands.Cancel())
    watch.rule(game_mode=False, hot_celsius=0, on_battery=False, hours="")
    watch.until(lambda: not watch.engines.rows())
    watch.guard.leave()
    for engine in watch.earlier:
        if engine.process:
            engine.process.wait()


@pytest.fixture
def desk(fake_cards: FakeCards, bench: Bench) -> Desk:
    return Desk(fake_cards, bench)
