"""The queue under a real keeper: order, failures, edits, and keepers that are killed."""

from __future__ import annotations

import itertools
import random
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from studio.client.keeper import Keeper, KeeperLost, quit_keeper
from studio.core import commands, events
from studio.core.errors import StudioError
from studio.core.queue import Queue, switched
from studio.core.wire import QueueNow
from studio.library import jobs, queue, runs
from studio.library.folders import JobFolder
from tests.support.keeping import Bench, gone, wait

DYING = """
import os, signal, sys
from studio.keeper import __main__, engines
from studio.library import queue
place, moment = sys.argv[1:3]
module, name = (queue, "save") if place == "save" else (engines, "launch")
real = getattr(module, name)
def dying(*arguments):
    if moment == "after":
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(module, name, dying)
__main__.main(sys.argv[3:])
"""


def _states(*folders: Path) -> list[str]:
    return [runs.state_of(folder).state for folder in folders]


def _done(bench: Bench, *folders: Path) -> None:
    """Wait until the queue has nothing more to do, and no run is at work."""
    wait(lambda: not queue.load(bench.home).running)
    wait(lambda: not any(jobs.living(folder) for folder in folders))


def _count(folder: Path, kind: type[events.Event]) -> int:
    return sum(isinstance(event, kind) for event in jobs.read_events(folder)[0])


def _span(folder: Path) -> tuple[float, float]:
    """When its engine began, and when the keeper wrote that it ended."""
    found = jobs.read_events(folder)[0]
    began = next(event.time for event in found if isinstance(event, events.Started))
    return began, next(event.time for event in found if isinstance(event, events.Ended))


def _gate(folder: Path) -> None:
    (folder / "open").touch()


def test_one_after_the_other_and_failures_stop_nobody(bench: Bench, keeper: Keeper) -> None:
    scripts = ["step:2,finish", "step:1,failed", "step:1,segfault", "mute,exit:3", "step:1,finish"]
    folders = [bench.run(script) for script in scripts]
    for folder in folders:
        keeper.queue_add(folder)
    assert queue.load(bench.home).waiting == tuple(folder.name for folder in folders)
    assert _states(*folders) == ["created"] * 5
    keeper.queue_run(True)
    _done(bench, *folders)
    assert _states(*folders) == ["finished", "failed", "crashed", "crashed", "finished"]
    spans = [_span(folder) for folder in folders if folder != folders[3]]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert queue.load(bench.home) == Queue()


def test_it_is_edited_while_a_run_is_at_work(bench: Bench, keeper: Keeper) -> None:
    first = bench.run("gate:open,finish")
    second, third, fourth = (bench.run("step:1,finish") for _ in range(3))
    keeper.queue_add(first)
    keeper.queue_run(True)
    wait(lambda: jobs.living(first))
    for folder in (second, third, fourth):
        keeper.queue_add(folder)
    keeper.queue_add(fourth, 0)
    assert keeper.queue_remove(third).waiting == (fourth.name, second.name)
    with pytest.raises(StudioError, match="Not in the queue"):
        keeper.queue_remove(first)
    with pytest.raises(StudioError, match="at work already"):
        keeper.queue_add(first)
    _gate(first)
    _done(bench, first, second, fourth)
    assert _states(first, second, third, fourth) == ["finished", "finished", "created", "finished"]
    assert _span(fourth)[1] <= _span(second)[0]


def test_everybody_hears_of_it_from_the_beginning(bench: Bench, keeper: Keeper) -> None:
    first, second = bench.run("gate:open,finish"), bench.run("step:1,finish")
    keeper.queue_add(first)
    heard: list[Queue] = []
    with Keeper.connect(bench.home, start=False) as other:

        def hears(wanted: tuple[tuple[str, ...], bool, str]) -> bool:
            heard.extend(push.queue for push in other.receive(0.2) if isinstance(push, QueueNow))
            return any((q.waiting, q.running, q.current) == wanted for q in heard)

        wait(lambda: hears(((first.name,), False, "")))
        keeper.queue_add(second)
        keeper.queue_run(True)
        wait(lambda: hears(((second.name,), True, first.name)))
        _gate(first)
        wait(lambda: hears(((), False, "")))


def test_what_cannot_be_started_is_passed_over_with_a_word(bench: Bench, keeper: Keeper) -> None:
    first, unprepared, deleted, renamed = (bench.run("step:1,finish") for _ in range(4))
    for folder in (unprepared, deleted, renamed, first):
        keeper.queue_add(folder)
    shutil.rmtree(unprepared / "data")
    runs.delete(bench.home, deleted)
    found = runs.rename(bench.home, renamed, "another name")
    keeper.queue_run(True)
    _done(bench, first, found)
    assert _states(unprepared, found, first) == ["created", "finished", "finished"]
    (note,) = (e for e in jobs.read_events(unprepared)[0] if isinstance(e, events.Note))
    assert "never prepared" in note.text
    with pytest.raises(StudioError, match="never prepared"):
        keeper.queue_add(unprepared)
    with pytest.raises(StudioError, match="is finished"):
        keeper.queue_add(first)


def test_a_renamed_run_keeps_its_place_and_its_name_is_nobody_elses(
    bench: Bench, keeper: Keeper
) -> None:
    run, last = bench.run("step:1,finish"), bench.run("step:1,finish")
    keeper.queue_add(run)
    keeper.queue_add(last)
    found = runs.rename(bench.home, run, "renamed")
    assert bench.run("step:1,finish") == run
    wait(lambda: queue.load(bench.home).waiting == ("renamed", last.name))
    keeper.queue_run(True)
    _done(bench, found, last)
    assert _states(found, run, last) == ["finished", "created", "finished"]


def test_a_pause_gives_the_machine_back_until_the_queue_is_run_again(
    bench: Bench, keeper: Keeper
) -> None:
    first, second = bench.run(""), bench.run("step:1,finish")
    keeper.queue_add(first)
    keeper.queue_add(second)
    keeper.queue_run(True, "sleep")
    wait(lambda: runs.state_of(first).step > 3)
    keeper.tell(first, commands.Pause())
    _done(bench, first)
    saved = queue.load(bench.home)
    assert (saved.waiting, saved.current) == ((first.name, second.name), "")
    assert first.name in saved.text
    assert _states(first, second) == ["paused", "created"]
    (first / "fake.txt").write_text("step:1,finish", "utf-8")
    keeper.queue_run(True, "nothing")
    _done(bench, first, second)
    assert jobs.job_of(first) == commands.Train(resume=True)
    assert _states(first, second) == ["finished", "finished"]
    assert _span(first)[0] < _span(second)[0]


def test_stopping_the_queue_leaves_the_run_at_work(bench: Bench, keeper: Keeper) -> None:
    first, second = bench.run("gate:open,finish"), bench.run("step:1,finish")
    keeper.queue_add(first)
    keeper.queue_add(second)
    keeper.queue_run(True)
    wait(lambda: jobs.living(first))
    keeper.queue_run(False)
    _gate(first)
    wait(lambda: keeper.jobs() == [])
    assert _states(first, second) == ["finished", "created"]
    assert queue.load(bench.home).waiting == (second.name,)


def test_what_a_person_starts_comes_first_and_leaves_the_queue(
    bench: Bench, keeper: Keeper
) -> None:
    mine, waits = bench.run("gate:open,finish"), bench.run("step:1,finish")
    keeper.queue_add(waits)
    keeper.queue_add(mine)
    keeper.start(mine)
    assert queue.load(bench.home).waiting == (waits.name,)
    keeper.queue_run(True)
    wait(lambda: queue.load(bench.home).current == mine.name)
    assert not jobs.living(waits)
    _gate(mine)
    _done(bench, mine, waits)
    assert _span(mine)[1] <= _span(waits)[0]


def test_the_keeper_stays_for_it_and_leaves_afterwards(bench: Bench) -> None:
    process = bench.start_keeper(idle=0.3)
    folders = [bench.run("step:1,finish") for _ in range(3)]
    with Keeper.connect(bench.home, start=False) as keeper:
        for folder in folders:
            keeper.queue_add(folder)
        keeper.queue_run(True)
    wait(lambda: gone(process.pid))
    assert _states(*folders) == ["finished"] * 3


@pytest.mark.parametrize("place", ["save", "launch"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_keeper_killed_at_a_start_loses_none_and_starts_none_twice(
    bench: Bench, place: str, moment: str
) -> None:
    """Before and after the queue is written, before and after the engine is launched."""
    folders = [bench.run("step:1,finish") for _ in range(3)]
    with Keeper.connect(bench.home) as keeper:
        for folder in folders:
            keeper.queue_add(folder)
    quit_keeper(bench.home)
    queue.save(bench.home, switched(queue.load(bench.home), True))
    dying = bench.spawn("-c", DYING, place, moment, "--home", str(bench.home.root))
    assert dying.wait(30) == -signal.SIGKILL
    bench.start_keeper()
    _done(bench, *folders)
    assert _states(*folders) == ["finished"] * 3
    assert [_count(folder, events.Started) for folder in folders] == [1, 1, 1]


def test_keepers_killed_at_any_time_change_nothing(bench: Bench) -> None:
    folders = [bench.run("step:4,finish") for _ in range(6)]
    process = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        for folder in folders:
            keeper.queue_add(folder)
        keeper.queue_run(True)
    when = random.Random(3)
    for _ in range(12):
        process.kill()
        process.wait()
        process = bench.start_keeper()
        wait(lambda: when.random() < 0.04)
    _done(bench, *folders)
    assert _states(*folders) == ["finished"] * 6
    assert [_count(folder, events.Started) for folder in folders] == [1] * 6


def test_after_a_power_cut_the_run_is_taken_up_again(bench: Bench) -> None:
    first, second = bench.run("step:3,gate:open,finish"), bench.run("step:1,finish")
    process = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.queue_add(first)
        keeper.queue_add(second)
        keeper.queue_run(True)
        wait(lambda: runs.state_of(first).step == 3)
        engine = JobFolder(first).lock.read_text()
        process.kill()
        psutil.Process(int(engine)).kill()
        with pytest.raises(KeeperLost):
            keeper.jobs()
    wait(lambda: gone(process.pid) and not jobs.living(first))
    _gate(first)
    bench.start_keeper()
    _done(bench, first, second)
    assert _states(first, second) == ["finished", "finished"]
    assert [_count(folder, events.Started) for folder in (first, second)] == [2, 1]
    assert jobs.job_of(first) == commands.Train(resume=True)
