"""The window's thread to the keeper: everything heard once, in order, whatever dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pytestqt.qtbot import QtBot

from studio.client.keeper import quit_keeper
from studio.core import commands, events
from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.core.queue import Queue
from studio.library import locks, rendezvous
from studio.library.runs import state_of
from studio.ui.worker import Worker
from tests.support.keeping import Bench, gone, wait

pytestmark = pytest.mark.gui


class Log:
    """What a worker emitted about one folder."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        self.events: list[events.AnyEvent] = []
        self.ended = 0
        self._folder = str(folder)
        worker.heard.connect(self._hear)
        worker.ended.connect(self._end)

    def steps(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, events.Step)]

    def has(self, kind: type[events.Event]) -> bool:
        return any(isinstance(event, kind) for event in self.events)

    def _hear(self, folder: str, found: list[events.AnyEvent]) -> None:
        if folder == self._folder:
            self.events += found

    def _end(self, folder: str) -> None:
        self.ended += folder == self._folder


@pytest.fixture
def worker(bench: Bench, qtbot: QtBot) -> Iterator[Worker]:
    made = Worker(bench.home)
    with qtbot.waitSignal(made.connected, timeout=20_000):
        made.start()
    yield made
    made.close()


def test_a_job_from_start_to_end(worker: Worker, bench: Bench, qtbot: QtBot) -> None:
    folder = bench.run("step:3,finish")
    log = Log(worker, folder)
    done: list[bool] = []
    worker.watch(folder)
    worker.start_job(folder, None, done=lambda: done.append(True))
    qtbot.waitUntil(lambda: log.ended > 0 and log.has(events.Ended), timeout=20_000)
    assert done == [True]
    assert log.steps() == [1, 2, 3]


def test_commands_and_refusals(worker: Worker, run: Path, qtbot: QtBot) -> None:
    log = Log(worker, run)
    refused: list[StudioError] = []
    worker.tell(run, commands.Stop(), failed=refused.append)
    qtbot.waitUntil(lambda: bool(refused), timeout=20_000)
    assert refused[0].title == "Not running"
    with qtbot.waitSignal(worker.refused, timeout=20_000) as caught:
        worker.tell(run, commands.Stop())
    assert isinstance(caught.args[0], StudioError)
    worker.watch(run)
    worker.start_job(run)
    qtbot.waitUntil(lambda: bool(log.steps()), timeout=20_000)
    worker.tell(run, commands.Stop())
    qtbot.waitUntil(lambda: log.has(events.Ended), timeout=20_000)
    assert log.has(events.Finished)


def test_machine_and_jobs(worker: Worker, run: Path, qtbot: QtBot) -> None:
    with qtbot.waitSignal(worker.machine, timeout=20_000) as caught:
        pass
    assert isinstance(caught.args[0], Machine)
    names: list[list[str]] = []
    worker.jobs.connect(lambda rows: names.append([row.name for row in rows]))
    worker.start_job(run)
    qtbot.waitUntil(lambda: [run.name] in names, timeout=20_000)
    worker.tell(run, commands.Cancel())
    qtbot.waitUntil(lambda: names[-1] == [], timeout=20_000)


def test_the_queue_is_heard_at_once_and_at_every_change(
    worker: Worker, bench: Bench, run: Path, qtbot: QtBot
) -> None:
    heard: list[Queue] = []
    worker.queue.connect(heard.append)
    worker.queue_add(run)
    qtbot.waitUntil(lambda: bool(heard) and heard[-1].waiting == (run.name,), timeout=20_000)
    worker.queue_run(False, "sleep")
    qtbot.waitUntil(lambda: heard[-1].then == "sleep", timeout=20_000)
    worker.queue_remove(run)
    qtbot.waitUntil(lambda: heard[-1].waiting == (), timeout=20_000)
    refused: list[StudioError] = []
    worker.queue_remove(run, failed=refused.append)
    qtbot.waitUntil(lambda: bool(refused), timeout=20_000)
    late: list[Queue] = []
    other = Worker(bench.home)
    other.queue.connect(late.append)
    other.start()
    qtbot.waitUntil(lambda: bool(late), timeout=20_000)
    other.close()


def test_what_was_asked_last_is_still_carried_out_when_it_leaves(
    worker: Worker, run: Path, qtbot: QtBot
) -> None:
    log = Log(worker, run)
    worker.watch(run)
    worker.start_job(run)
    qtbot.waitUntil(lambda: bool(log.steps()), timeout=20_000)
    worker.tell(run, commands.Stop())
    worker.close()
    wait(lambda: state_of(run).state == "stopped")


def test_watching_goes_on_when_the_keeper_is_killed(
    worker: Worker, bench: Bench, run: Path, qtbot: QtBot
) -> None:
    log = Log(worker, run)
    worker.watch(run)
    worker.start_job(run)
    qtbot.waitUntil(lambda: len(log.steps()) > 5, timeout=20_000)
    holder = locks.holder(rendezvous.lock_file(bench.home))
    assert holder is not None
    with qtbot.waitSignals([worker.lost, worker.connected], timeout=30_000):
        psutil.Process(holder).kill()
    count = len(log.steps())
    qtbot.waitUntil(lambda: len(log.steps()) > count + 5, timeout=20_000)
    worker.tell(run, commands.Stop())
    qtbot.waitUntil(lambda: log.has(events.Ended), timeout=20_000)
    assert log.steps() == list(range(1, len(log.steps()) + 1))


def test_what_is_asked_while_there_is_no_keeper_is_asked_later(
    worker: Worker, bench: Bench, run: Path, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(worker.lost, timeout=20_000):
        quit_keeper(bench.home)
    log = Log(worker, run)
    worker.watch(run)
    worker.start_job(run)
    qtbot.waitUntil(lambda: bool(log.steps()), timeout=30_000)
    worker.tell(run, commands.Stop())
    qtbot.waitUntil(lambda: log.has(events.Ended), timeout=20_000)


def test_watching_anew_begins_anew_and_unwatching_ends(
    worker: Worker, run: Path, qtbot: QtBot
) -> None:
    first = Log(worker, run)
    worker.watch(run)
    worker.start_job(run)
    qtbot.waitUntil(lambda: len(first.steps()) > 10, timeout=20_000)
    second = Log(worker, run)
    worker.watch(run)
    qtbot.waitUntil(lambda: len(second.steps()) > 20, timeout=20_000)
    assert second.steps() == list(range(1, len(second.steps()) + 1))
    worker.unwatch(run)
    count = len(second.steps())
    with qtbot.waitSignal(worker.machine, timeout=20_000):
        pass
    assert len(second.steps()) == count
    third = Log(worker, run)
    worker.watch(run)
    worker.tell(run, commands.Stop())
    qtbot.waitUntil(lambda: third.has(events.Ended), timeout=20_000)


def test_a_killed_engine_is_said_within_two_seconds(
    worker: Worker, run: Path, qtbot: QtBot
) -> None:
    log = Log(worker, run)
    worker.watch(run)
    worker.start_job(run)
    qtbot.waitUntil(lambda: bool(log.steps()), timeout=20_000)
    started = next(event for event in log.events if isinstance(event, events.Started))
    psutil.Process(started.pid).kill()
    qtbot.waitUntil(lambda: log.has(events.Ended), timeout=2_000)
    assert gone(started.pid)


def test_a_home_that_cannot_be_kept_is_said_and_left_at_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError('half installed')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = Worker(bench.home)
    with qtbot.waitSignal(worker.lost, timeout=20_000) as caught:
        worker.start()
    assert "half installed" in caught.args[0]
    worker.close()
    assert worker.isFinished()


def test_closing_leaves_the_training_alone(
    worker: Worker, bench: Bench, run: Path, qtbot: QtBot
) -> None:
    log = Log(worker, run)
    worker.watch(run)
    worker.start_job(run)
    qtbot.waitUntil(lambda: bool(log.steps()), timeout=20_000)
    worker.close()
    started = next(event for event in log.events if isinstance(event, events.Started))
    assert not gone(started.pid)
    wait(lambda: len(log.events) >= 2)
    psutil.Process(started.pid).kill()
