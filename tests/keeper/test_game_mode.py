"""Runs pause while a game has the card."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.core import commands, events
from studio.keeper.foreign import SETTLE_SECONDS
from studio.library import jobs
from tests.keeper.watching import Desk, Watch
from tests.support.keeping import Bench
from tests.support.nvml import GIB, FakeCards


def test_a_game_takes_the_card_and_gives_it_back(watch: Watch, desk: Desk, run: Path) -> None:
    watch.rule(game_mode=True)
    desk.show({})
    watch.start(run)
    engine = watch.pid(run)
    desk.show({engine: 10 * GIB})
    watch.pass_time(60)
    desk.show({engine: 10 * GIB}, desktop=2.2)  # a browser and a video
    watch.pass_time(60)
    assert not watch.guard.busy
    desk.show({engine: 10 * GIB}, game=4)
    watch.pass_time(5)
    assert watch.goes_on(run)
    watch.pass_time(1)
    assert watch.paused(run) == "game"
    assert watch.guard.busy
    assert watch.guard.holding == "game"
    desk.show({}, game=7)
    watch.pass_time(600)
    assert watch.waits(run)
    desk.show({})
    watch.pass_time(30)
    assert watch.waits(run)
    watch.pass_time(1)
    watch.until(lambda: watch.stepped(run))
    assert not watch.guard.busy
    assert watch.guard.holding == ""
    assert jobs.job_of(run) == commands.Train(resume=True)


def test_a_game_that_ran_already_is_none_and_its_going_is_noticed(
    watch: Watch, desk: Desk, run: Path
) -> None:
    watch.rule(game_mode=True)
    desk.show({}, game=3)
    watch.start(run)
    engine = watch.pid(run)
    desk.show({engine: GIB}, game=3)
    watch.pass_time(60)
    assert watch.goes_on(run)
    desk.show({engine: GIB})
    watch.pass_time(10)
    desk.show({engine: GIB}, game=3)
    watch.pass_time(6)
    assert watch.paused(run) == "game"


def test_what_came_while_nothing_trained_is_no_game(watch: Watch, desk: Desk) -> None:
    watch.rule(game_mode=True)
    desk.show({}, desktop=1)
    first, second = watch.bench.run(""), watch.bench.run("")
    watch.start(first)
    watch.pass_time(10)
    watch.tell(first, commands.Stop())
    watch.until(lambda: not watch.engines.rows())
    desk.show({}, desktop=5)
    watch.pass_time(10)
    watch.start(second)
    watch.pass_time(60)
    assert watch.goes_on(second)


def test_ours_are_no_game(watch: Watch, desk: Desk) -> None:
    """Neither a second run nor a conversation, nor what an engine started."""
    watch.rule(game_mode=True)
    desk.show({})
    first, second = watch.bench.run("escaped_child"), watch.bench.run("")
    chat = watch.bench.chat()
    watch.start(first)
    watch.start(second)
    watch.engines.start(chat, None, watch)
    notes = [e.text for e in jobs.read_events(first)[0] if isinstance(e, events.Note)]
    child = int(notes[0].split()[1])
    watch.until(lambda: any(isinstance(e, events.Step) for e in jobs.read_events(chat)[0]))
    ours = [watch.pid(first), watch.pid(second), watch.pid(chat), child]
    desk.show(dict.fromkeys(ours, 5 * GIB))
    watch.pass_time(60)
    assert watch.goes_on(first)
    assert watch.goes_on(second)
    watch.tell(chat, commands.Leave())


def test_only_the_card_that_trains_counts(watch: Watch, desk: Desk, run: Path) -> None:
    watch.rule(game_mode=True)
    desk.show({})
    desk._cards.add()
    watch.start(run)
    desk.show({watch.pid(run): GIB})
    watch.pass_time(2)
    desk._cards.set(1, graphics=f"{desk.game}:{9 * GIB}")
    watch.pass_time(60)
    assert watch.goes_on(run)


@pytest.mark.parametrize("listed", ["{pid}:-", "2000000000:5000000000", ""])
def test_where_processes_keep_their_memory_to_themselves(
    watch: Watch, fake_cards: FakeCards, bench: Bench, listed: str
) -> None:
    """As on Windows, in a container, under WSL; then it is what the card has in use less what the
    engine reports."""
    run = bench.run(f"vram:{10 * GIB}")
    watch.rule(game_mode=True)
    fake_cards.set(processes=listed.format(pid=os.getpid()), used=2 * GIB)
    watch.start(run)
    fake_cards.set(used=12 * GIB)
    watch.pass_time(SETTLE_SECONDS + 60)
    assert watch.goes_on(run)
    fake_cards.set(used=16 * GIB)
    watch.pass_time(6)
    assert watch.paused(run) == "game"
    fake_cards.set(used=6 * GIB)
    watch.pass_time(120)
    assert watch.waits(run)
    watch.new_keeper()
    watch.pass_time(120)
    assert watch.waits(run)
    fake_cards.set(used=2 * GIB)
    watch.pass_time(31)
    watch.until(lambda: watch.stepped(run))


@pytest.mark.parametrize("listed", ["{pid}:-", "2000000000:{used}"])
def test_a_model_that_loads_is_no_game_where_nothing_better_is_known(
    watch: Watch, fake_cards: FakeCards, bench: Bench, listed: str
) -> None:
    run = bench.run(f"gate:loaded,vram:{10 * GIB}")
    watch.rule(game_mode=True)
    fake_cards.set(processes=listed.format(pid=os.getpid(), used=GIB), used=2 * GIB)
    watch.engines.start(run, commands.Train(), None)
    watch.until(lambda: watch.state(run).state == "running")
    for used in range(2, 13):
        shown = listed.format(pid=os.getpid(), used=(used - 1) * GIB)
        fake_cards.set(processes=shown, used=used * GIB)
        watch.pass_time(10)
        assert not watch.guard.holding
    (run / "loaded").touch()
    watch.until(lambda: watch.stepped(run))
    watch.pass_time(60)
    assert watch.goes_on(run)
