"""What waits for a reason to end: resumed, paused, found again, queued, over the wire."""

from __future__ import annotations

import datetime
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.core.errors import StudioError
from studio.library import jobs, runs
from tests.keeper.watching import Desk, Watch, set_rules
from tests.support.keeping import Bench, Ear, gone, wait
from tests.support.nvml import GIB

posix = pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped as on POSIX")


def test_who_resumes_a_waiting_run_overrides_the_reason_until_it_has_ended_once(
    watch: Watch, run: Path
) -> None:
    watch.rule(on_battery=True)
    other = watch.bench.run("")
    watch.start(run)
    watch.start(other)
    watch.system.battery = True
    watch.pass_time(11)
    assert {watch.paused(run), watch.paused(other)} == {"battery"}
    watch.start(run, resume=True)
    watch.pass_time(120)
    assert watch.goes_on(run)
    assert watch.waits(other)
    assert watch.guard.holding == "battery"  # the queue starts nothing
    watch.new_keeper()
    watch.pass_time(120)
    assert watch.goes_on(run)
    assert watch.waits(other)
    watch.system.battery = False
    watch.pass_time(11)
    watch.until(lambda: watch.stepped(other))
    watch.system.battery = True
    watch.pass_time(11)
    assert {watch.paused(run), watch.paused(other)} == {"battery"}


def test_a_run_started_under_a_reason_waits_and_one_taken_up_does_not(
    watch: Watch, run: Path
) -> None:
    watch.rule(hours="10:00-11:00")
    watch.pass_time(1)
    watch.engines.start(run, commands.Train(), None)
    watch.guard.started(run)
    assert watch.paused(run) == "hours"
    watch.start(run, resume=True)
    watch.pass_time(5)
    assert watch.goes_on(run)


def test_who_pauses_a_waiting_run_keeps_it_paused(watch: Watch, run: Path) -> None:
    watch.rule(on_battery=True)
    watch.start(run)
    watch.system.battery = True
    watch.pass_time(11)
    assert watch.paused(run) == "battery"
    before = watch.state(run)
    watch.tell(run, commands.Pause())
    assert watch.state(run).pause_reason == ""
    assert isinstance(jobs.read_events(run)[0][-1], events.Ended)  # those who follow it are done
    assert (watch.state(run).checkpoint, watch.state(run).step) == (before.checkpoint, before.step)
    assert not watch.guard.busy
    watch.system.battery = False
    watch.pass_time(60)
    assert watch.waits(run)
    with pytest.raises(StudioError, match="Not running"):
        watch.tell(run, commands.Pause())
    watch.new_keeper()
    watch.pass_time(60)
    assert watch.waits(run)


@posix
@pytest.mark.parametrize("anew", [False, True])
def test_who_pauses_a_run_that_is_just_pausing_keeps_it_paused(
    watch: Watch, run: Path, anew: bool
) -> None:
    watch.rule(on_battery=True)
    watch.start(run)
    os.kill(watch.pid(run), signal.SIGSTOP)
    watch.system.battery = True
    watch.pass_time(11)
    if anew:
        watch.new_keeper()
    watch.tell(run, commands.Pause())
    os.kill(watch.pid(run), signal.SIGCONT)
    assert watch.paused(run) == ""
    watch.system.battery = False
    watch.pass_time(60)
    assert watch.waits(run)


def test_what_waits_is_found_again_by_the_next_keeper(watch: Watch, desk: Desk, run: Path) -> None:
    """Together with what others held before the game."""
    watch.rule(game_mode=True)
    desk.show({}, desktop=3)
    watch.start(run)
    desk.show({watch.pid(run): GIB}, desktop=3, game=2)
    watch.pass_time(6)
    assert watch.paused(run) == "game"
    watch.new_keeper()
    assert watch.guard.busy
    desk.show({}, desktop=3, game=2)
    watch.pass_time(120)
    assert watch.waits(run)
    desk.show({}, desktop=3)
    watch.pass_time(31)
    watch.until(lambda: watch.stepped(run))


def test_a_waiting_run_that_is_renamed_or_deleted(watch: Watch) -> None:
    watch.rule(on_battery=True)
    kept, deleted = watch.bench.run(""), watch.bench.run("")
    for folder in (kept, deleted):
        watch.start(folder)
    watch.system.battery = True
    watch.pass_time(11)
    for folder in (kept, deleted):
        assert watch.paused(folder) == "battery"
    renamed = runs.rename(watch.home, kept, "another")
    runs.delete(watch.home, deleted)
    watch.system.battery = False
    watch.pass_time(11)
    watch.until(lambda: watch.stepped(renamed))
    watch.pass_time(5)
    assert [row.folder for row in watch.engines.rows()] == [str(renamed)]
    assert not watch.guard.busy


def test_queuedthat_end_otherwise_do_not_wait(watch: Watch) -> None:
    crashed, stopped = watch.bench.run("gate:go,kill"), watch.bench.run("")
    watch.start(stopped)
    watch.tell(stopped, commands.Stop())
    watch.engines.start(crashed, commands.Train(), None)
    (crashed / "go").touch()
    watch.until(lambda: not watch.engines.rows())
    assert watch.state(crashed).state == "crashed"
    assert not watch.guard.busy


def test_the_queue_waits_with_what_waits(bench: Bench) -> None:
    """Nothing begins while a reason holds, and nothing else takes the place of what waits."""
    queued = [bench.run(""), bench.run("")]
    set_rules(bench, hours=_not_now())
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        for folder in queued:
            keeper.queue_add(folder)
        keeper.queue_run(True)
        _look_on(keeper)
        assert keeper.jobs() == []
        set_rules(bench, hours="")
        ear = Ear(keeper, queued[0])
        ear.until(events.Step)
        set_rules(bench, hours=_not_now())
        ear.hear(lambda event: isinstance(event, events.Paused) and event.reason == "hours")
        ear.to_end()
        _look_on(keeper)
        assert keeper.jobs() == []
        assert keeper.queue_run(True).current == queued[0].name
        set_rules(bench, hours="")
        ear.until(events.Step)
        assert [row.name for row in keeper.jobs()] == [queued[0].name]
        keeper.tell(queued[0], commands.Stop())
        Ear(keeper, queued[1]).until(events.Step)
        keeper.queue_run(False)


def _not_now() -> str:
    now = datetime.datetime.now()
    begin, end = (now + datetime.timedelta(hours=h) for h in (2, 3))
    return f"{begin:%H:%M}-{end:%H:%M}"


def _look_on(keeper: Keeper) -> None:
    """Long enough for the keeper to have started something, were it to: it looks many times."""
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        keeper.receive(0.1)


def test_a_real_keeper_pauses_for_a_game_outlives_its_clients_and_is_replaced(
    bench: Bench, desk: Desk, run: Path
) -> None:
    """Over the wire, with times a twentieth of the real ones, and a kill while the run waits."""
    set_rules(bench, game_mode=True)
    desk.show({})
    first = bench.start_keeper(idle=0.5)
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
        ear = Ear(keeper, run)
        ear.until(events.Step)
        engine = next(e.pid for e in ear.events if isinstance(e, events.Started))
        desk.show({engine: 2 * GIB}, game=5)
        ear.to_end()
        assert runs.state_of(run).pause_reason == "game"
    wait(lambda: gone(engine))
    desk.show({}, game=5)
    first.kill()
    wait(lambda: gone(first.pid))
    second = bench.start_keeper(idle=0.5)
    assert second.pid != first.pid
    with Keeper.connect(bench.home, start=False) as keeper:
        ear = Ear(keeper, run, ear.offset)
        desk.show({})
        ear.until(events.Step)
        keeper.tell(run, commands.Pause())
        ear.to_end()
    assert runs.state_of(run).pause_reason == ""
    wait(lambda: gone(second.pid))
