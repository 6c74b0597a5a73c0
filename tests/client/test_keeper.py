"""The client's side: connecting, following, several at once."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.client.connection import is_running
from studio.client.keeper import Keeper, quit_keeper
from studio.core import commands, events
from studio.core.errors import StudioError
from studio.core.run_state import replay
from studio.core.wire import JobsNow, MachineNow
from studio.library import locks, rendezvous
from studio.library.folders import Home
from tests.support.keeping import Bench, Ear, gone, wait
from tests.support.nvml import GIB, FakeCards


def test_it_starts_a_keeper_that_outlives_it(bench: Bench) -> None:
    with pytest.raises(StudioError, match="No keeper"):
        Keeper.connect(bench.home, start=False)
    with Keeper.connect(bench.home) as keeper:
        pid = keeper.welcome.pid
        assert keeper.welcome.home == str(bench.home.root)
        assert os.getsid(pid) == pid if hasattr(os, "getsid") else True
    assert not gone(pid)
    quit_keeper(bench.home)
    assert not is_running(bench.home)


def test_many_starters_at_once_get_one_keeper(bench: Bench) -> None:
    pids: list[int] = []

    def connect() -> None:
        with Keeper.connect(bench.home) as keeper:
            pids.append(keeper.welcome.pid)

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(pids) == 4
    assert len(set(pids)) == 1


@pytest.fixture
def deep_home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp()) / ("a long name " * 8) / ("ünïcode " * 8)
    home = Home(root).make()
    yield home
    quit_keeper(home)
    shutil.rmtree(root.parents[1])


def test_a_home_with_a_long_path(deep_home: Home) -> None:
    with Keeper.connect(deep_home) as keeper:
        assert keeper.jobs() == []


def test_a_keeper_that_cannot_start(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError('half installed')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(StudioError, match="can't start") as caught:
        Keeper.connect(bench.home)
    assert "half installed" in caught.value.text


def test_a_frozen_keeper_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    process = bench.start_keeper()
    process.suspend()
    try:
        from studio.client import connection

        with pytest.raises(StudioError, match="doesn't answer") as caught:
            connection.connect(bench.home, seconds=0.5)
        assert str(process.pid) in caught.value.fix
    finally:
        process.resume()


def test_follow_goes_on_across_the_death_of_the_keeper(bench: Bench, run: Path) -> None:
    first = bench.start_keeper()
    steps: list[int] = []
    with Keeper.connect(bench.home) as keeper:
        keeper.start(run)
        for event in keeper.follow(run):
            last = event
            if isinstance(event, events.Step):
                steps.append(event.step)
                if event.step == 5:
                    first.kill()
                if event.step == 20:
                    keeper.tell(run, commands.Stop())
    assert isinstance(last, events.Ended)
    assert steps == list(range(1, len(steps) + 1))


def test_follow_an_old_run_that_was_resumed(bench: Bench, keeper: Keeper, run: Path) -> None:
    for _ in range(2):
        keeper.start(run, commands.Train(resume=True))
        ear = Ear(keeper, run)
        ear.until(events.Step)
        keeper.tell(run, commands.Pause())
        ear.to_end()
    found = list(keeper.follow(run))
    assert sum(isinstance(event, events.Ended) for event in found) == 2
    assert replay(found).state == "paused"


def test_two_clients_hear_the_same(bench: Bench, keeper: Keeper, run: Path) -> None:
    with Keeper.connect(bench.home, start=False) as other:
        keeper.start(run)
        first, second = Ear(keeper, run), Ear(other, run)
        first.until(events.Step)
        other.tell(run, commands.Stop())
        assert first.to_end() == second.to_end()


def test_watching_anew_hears_nothing_twice(bench: Bench, keeper: Keeper, run: Path) -> None:
    keeper.start(run)
    ear = Ear(keeper, run)
    ear.hear(lambda event: isinstance(event, events.Step) and event.step > 20)
    again = Ear(keeper, run)
    keeper.tell(run, commands.Stop())
    steps = [event.step for event in again.to_end() if isinstance(event, events.Step)]
    assert steps == list(range(1, len(steps) + 1))
    keeper.unwatch(run)


def test_the_list_of_jobs_is_pushed(bench: Bench, keeper: Keeper, run: Path) -> None:
    states: list[str] = []

    def heard(state: str) -> bool:
        for push in keeper.receive(0.5):
            if isinstance(push, JobsNow):
                states.extend(row.state for row in push.rows)
                if not push.rows:
                    states.append("")
        return state in states

    wait(lambda: heard(""))
    keeper.start(run)
    wait(lambda: heard("running"))
    keeper.tell(run, commands.Stop())
    states.clear()
    wait(lambda: heard(""))


def test_the_machine_with_a_card(fake_cards: FakeCards, bench: Bench, keeper: Keeper) -> None:
    machine = keeper.watch_machine(True)
    (gpu,) = machine.gpus
    assert gpu.name == "NVIDIA GeForce RTX 4090"
    assert (gpu.total_bytes, gpu.used_bytes) == (24 * GIB, 8 * GIB)
    assert (gpu.utilisation, gpu.temperature, gpu.power, gpu.power_limit) == (87, 66, 312, 450)
    assert (gpu.compute_capability, gpu.driver) == ((8, 9), "580.65.06")
    memory = psutil.virtual_memory()
    assert machine.ram_total_bytes == memory.total
    assert machine.cores >= 1
    fake_cards.set(used=9 * GIB, temperature=None, power=None)
    pushed: list[MachineNow] = []

    def seen() -> bool:
        pushed.extend(push for push in keeper.receive(0.5) if isinstance(push, MachineNow))
        return bool(pushed) and pushed[-1].machine.gpus[0].used_bytes == 9 * GIB

    wait(seen)
    gpu = pushed[-1].machine.gpus[0]
    assert (gpu.temperature, gpu.power, gpu.utilisation) == (None, None, 87)
    fake_cards.break_down()
    wait(lambda: keeper.machine().gpus == ())


def test_the_machine_without_a_card(keeper: Keeper) -> None:
    machine = keeper.machine()
    assert machine.gpus == ()
    assert 0 < machine.ram_free_bytes <= machine.ram_total_bytes
    assert machine.disk_free_bytes > 0
    assert machine.cpu


def test_the_lock_says_who_keeps(keeper: Keeper) -> None:
    assert locks.holder(rendezvous.lock_file(keeper.home)) == keeper.welcome.pid
