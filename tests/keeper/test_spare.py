"""The spare engine: the next job is its own, and until then it is in nobody's way."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from studio.client.keeper import Keeper, KeeperLost
from studio.core import commands, events
from studio.core.run_state import replay
from studio.keeper import launching, spare, sweep
from studio.keeper.spare import Spare
from studio.library import jobs, locks, runs
from studio.library.folders import Home, JobFolder
from tests.support.keeping import Bench, Ear, gone, wait

PLENTY = 8 << 30


@pytest.fixture
def on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Keepers started from here on keep the fake engine warm."""
    monkeypatch.setenv(spare.SWITCH, "yes")
    return bench


@pytest.fixture
def client(on: Bench) -> Iterator[Keeper]:
    on.start_keeper()
    with Keeper.connect(on.home, start=False) as keeper:
        yield keeper


@pytest.fixture
def frozen(on: Bench, client: Keeper) -> Iterator[psutil.Process]:
    """A spare that is given its order and does nothing with it."""
    process = psutil.Process(spare_of(on.home))
    process.suspend()
    yield process
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def waiting(home: Home) -> list[psutil.Process]:
    """Processes that wait for a job of this home."""
    marks = [each for mark, each in sweep.marked().items() if mark.startswith("spare-")]
    found = [process for processes in marks for process in processes]
    return [process for process in found if str(home.root) in process.cmdline()]


def spare_of(home: Home) -> int:
    wait(lambda: waiting(home))
    (process,) = waiting(home)
    return process.pid


def test_the_next_job_is_the_spares_and_it_is_replaced(on: Bench, client: Keeper) -> None:
    first = spare_of(on.home)
    assert client.jobs() == []
    folder = on.run("step:3,finish")
    client.start(folder)
    ear = Ear(client, folder)
    started = ear.until(events.Started)
    assert isinstance(started, events.Started)
    assert started.pid == first
    found = ear.to_end()
    assert replay([started, *found]).state == "finished"
    assert found[-1] == events.Ended(code=0, time=found[-1].time)
    assert spare_of(on.home) != first


@pytest.mark.parametrize("end", ["segfault", "finish"])
def test_its_workers_are_swept_and_its_end_is_told(on: Bench, client: Keeper, end: str) -> None:
    spare_of(on.home)
    folder = on.run(f"step:1,child,escaped_child,{end}")
    client.start(folder)
    found = Ear(client, folder).to_end()
    children = [int(e.text.split()[1]) for e in found if isinstance(e, events.Note)]
    assert len(children) == 2
    assert all(gone(pid) for pid in children)
    last = found[-1]
    assert isinstance(last, events.Ended)
    assert last.title == ("The engine crashed" if end == "segfault" else "")


def test_what_it_prints_is_in_the_log_of_its_job(on: Bench, client: Keeper) -> None:
    spare_of(on.home)
    folder = on.run("step:1,raise")
    client.start(folder)
    Ear(client, folder).to_end()
    assert "the numbers don't add up" in runs.state_of(folder).text
    assert "Traceback" in JobFolder(folder).engine_log.read_text("utf-8")


def test_a_chat_of_a_spare_ends_with_its_client(on: Bench, client: Keeper) -> None:
    pid = spare_of(on.home)
    folder = on.chat()
    with Keeper.connect(on.home, start=False) as guest:
        guest.start(folder)
        Ear(guest, folder).until(events.Started)
    wait(lambda: gone(pid))
    last = Ear(client, folder).to_end()[-1]
    assert last == events.Ended(code=0, time=last.time)


def test_one_that_does_not_answer_is_killed(on: Bench, client: Keeper) -> None:
    pid = spare_of(on.home)
    folder = on.run("ignore_terminate,hang")
    client.start(folder)
    wait(lambda: jobs.living(folder))
    client.tell(folder, commands.Cancel())
    assert replay(Ear(client, folder).to_end()).state == "cancelled"
    assert gone(pid)


def test_a_dead_spare_is_nobodys_loss(on: Bench, client: Keeper, run: Path) -> None:
    pid = spare_of(on.home)
    psutil.Process(pid).kill()
    client.start(run)
    started = Ear(client, run).until(events.Started)
    assert isinstance(started, events.Started)
    assert started.pid != pid


def test_one_that_dies_with_the_order_in_hand_is_nobodys_loss(
    client: Keeper, frozen: psutil.Process, run: Path
) -> None:
    client.start(run)
    frozen.kill()
    ear = Ear(client, run)
    started = ear.until(events.Started)
    assert isinstance(started, events.Started)
    assert started.pid != frozen.pid
    assert not any(isinstance(event, events.Ended) for event in ear.events)


def test_one_that_dies_when_it_was_to_end_is_not_replaced(
    client: Keeper, frozen: psutil.Process, run: Path
) -> None:
    client.start(run)
    client.tell(run, commands.Cancel())
    frozen.kill()
    found = Ear(client, run).to_end()
    assert not any(isinstance(event, events.Started) for event in found)


def test_it_dies_with_the_keeper_and_its_job_does_not(on: Bench, run: Path) -> None:
    first = on.start_keeper()
    with Keeper.connect(on.home, start=False) as keeper:
        engine = spare_of(on.home)
        keeper.start(run)
        ear = Ear(keeper, run)
        ear.until(events.Step)
        first.kill()
        with pytest.raises(KeeperLost):
            ear.to_end()
    wait(lambda: gone(first.pid))
    assert locks.holder(JobFolder(run).lock) == engine
    second = on.start_keeper()
    with Keeper.connect(on.home, start=False) as keeper:
        (row,) = keeper.jobs()
        assert row.name == run.name
        keeper.tell(run, commands.Stop())
        assert replay(Ear(keeper, run).to_end()).state == "stopped"
        waits = spare_of(on.home)
        second.kill()
        wait(lambda: gone(waits))


def test_the_keeper_leaves_as_ever_and_takes_it_along(on: Bench) -> None:
    keeper = on.start_keeper(idle=0.5)
    with Keeper.connect(on.home, start=False):
        pid = spare_of(on.home)
    wait(lambda: gone(keeper.pid))
    assert gone(pid)


@dataclasses.dataclass
class World:
    """A spare of the fake engine, on a machine with so much free memory and so many cores."""

    spare: Spare
    now: float = 0.0
    free: int = PLENTY
    cores: int = 2

    def later(self, seconds: float, people: int = 1, computing: int = 0) -> bool:
        """Whether there is a spare after so long."""
        for _ in range(2):
            self.spare.tick(self.now, people, computing)
            self.now += seconds / 2
        self.spare.tick(self.now, people, computing)
        return self.spare._process is not None


@pytest.fixture
def world(on: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(Spare(on.home))
    memory = lambda: SimpleNamespace(available=made.free)  # noqa: E731
    monkeypatch.setattr(psutil, "virtual_memory", memory)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: made.cores)
    yield made
    made.spare.leave()


def test_it_waits_for_a_calm_moment(world: World) -> None:
    assert not world.later(60.0, people=0)
    assert not world.later(spare.CALM_SECONDS - 0.1)
    assert world.later(1.0)


def test_few_cores_are_not_shared_with_a_job(world: World) -> None:
    assert not world.later(60.0, computing=1)
    assert world.later(5.0, computing=0)
    world.spare.leave()
    world.cores = 8
    assert world.later(5.0, computing=1)


def test_short_memory_is_left_to_others(world: World) -> None:
    world.free = spare.WARM_ABOVE_BYTES - 1
    assert not world.later(60.0)
    world.free = PLENTY
    assert world.later(1.0)
    world.free = spare.DROP_BELOW_BYTES - 1
    assert not world.later(1.0)


def test_it_is_given_up_when_nobody_needs_it(world: World) -> None:
    assert world.later(5.0)
    assert world.later(spare.KEPT_SECONDS - 10)
    assert not world.later(11.0)
    assert not world.later(60.0)
    assert world.later(5.0, people=2)  # somebody came


def test_one_that_ends_by_itself_is_not_made_again_at_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    assert world.later(5.0)
    process = world.spare._process
    assert process
    process.kill()
    wait(lambda: launching.exited(process))
    assert not world.later(5.0)
    assert not world.later(spare.RETRY_SECONDS - 10)
    assert world.later(15.0)


def test_named_engines_and_the_switch_have_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(spare.SWITCH, "no")
    assert not world.later(60.0)
    monkeypatch.delenv(spare.SWITCH)
    assert not world.later(60.0)
