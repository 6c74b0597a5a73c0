"""Runs pause by themselves for a game, heat, battery or the hour, and go on by themselves."""

from __future__ import annotations

import datetime
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.core.errors import StudioError
from studio.core.facts import Ability
from studio.core.run_state import RunState
from studio.keeper.engine import Engine
from studio.keeper.engines import Engines
from studio.keeper.foreign import SETTLE_SECONDS
from studio.keeper.guard import Guard
from studio.library import jobs, runs, settings
from tests.support.keeping import Bench, Ear, gone, wait
from tests.support.nvml import GIB, FakeCards

posix = pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped as on POSIX")
NIGHT = datetime.datetime(2026, 11, 22, 23, 0)


class FakeSystem:
    """An operating system that a test describes."""

    def __init__(self) -> None:
        self.awake = False
        self.battery: bool | None = False

    def abilities(self) -> tuple[Ability, ...]:
        return ()

    def keep_awake(self) -> None:
        self.awake = True

    def let_sleep(self) -> None:
        self.awake = False

    def on_battery(self) -> bool | None:
        return self.battery

    def sleep(self) -> None:
        raise AssertionError("nobody wanted sleep")

    def shut_down(self) -> None:
        raise AssertionError("nobody wanted the end")


class Watch:
    """The guard of a home over real engines' processes; time passes when a test says so."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.home = bench.home
        self.system = FakeSystem()
        self.wall = NIGHT
        self.now = 1000.0
        self.earlier: list[Engine] = []
        self.engines = Engines(self.home, 0.05)
        self.new_keeper()

    def new_keeper(self) -> None:
        """As after a keeper's death: all that was in memory is lost."""
        self.earlier += self.engines.at_work()
        self.engines = Engines(self.home, 0.05)
        self.engines.recover()
        self.guard = Guard(self.home, self.engines, self.system, clock=lambda: self.wall)
        self.look()

    def rule(self, **rules: object) -> None:
        _rule(self.bench, **rules)

    def look(self) -> None:
        self.engines.tick()
        self.guard.tick(self.now)

    def pass_time(self, seconds: float) -> None:
        """Look every second for that long."""
        for _ in range(round(seconds)):
            self.now += 1.0
            self.wall += datetime.timedelta(seconds=1)
            self.look()

    def until(self, ready: Callable[[], object]) -> None:
        """Wait for processes, without any time passing for the guard."""

        def check() -> object:
            self.look()
            return ready()

        wait(check)

    def start(self, folder: Path, resume: bool = False) -> None:
        """As a person does it."""
        self.engines.start(folder, commands.Train(resume=resume), None)
        self.guard.started(folder)
        self.until(lambda: self.stepped(folder))

    def stepped(self, folder: Path) -> bool:
        state = runs.state_of(folder)
        return state.state == "running" and state.stage == "Training"

    def goes_on(self, folder: Path) -> bool:
        """Whether it trains on, also after whatever it was told before this has reached it."""
        step = self.state(folder).step
        self.until(lambda: self.state(folder).step > step + 2 or not self.stepped(folder))
        return self.stepped(folder)

    def waits(self, folder: Path) -> bool:
        """Whether it is paused and nobody has begun to take it up."""
        at_work = [row.folder for row in self.engines.rows()]
        return self.state(folder).state == "paused" and str(folder) not in at_work

    def pid(self, folder: Path) -> int:
        found = [e.pid for e in jobs.read_events(folder)[0] if isinstance(e, events.Started)]
        return found[-1]

    def tell(self, folder: Path, command: commands.AnyCommand) -> None:
        """As the service passes a person's word on."""
        if not self.guard.told(folder, command):
            self.engines.tell(folder, command)

    def paused(self, folder: Path) -> str:
        """Wait until the run is paused; for which reason."""
        self.until(lambda: self.state(folder).state == "paused" and not self.engines.rows())
        return self.state(folder).pause_reason

    def state(self, folder: Path) -> RunState:
        return runs.state_of(folder)


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


class Desk:
    """A card with a desktop on it; games come and go, ours are counted in."""

    def __init__(self, cards: FakeCards, bench: Bench) -> None:
        self._cards = cards
        self.desktop = os.getpid()
        self.game = bench.spawn("-c", "import time; time.sleep(600)").pid

    def show(self, ours: dict[int, int], game: float = 0, desktop: float = 1.5) -> None:
        """Bytes of our processes; GiB of the others."""
        graphics = {self.desktop: int(desktop * GIB)}
        if game:
            graphics[self.game] = int(game * GIB)
        self._cards.set(
            processes=",".join(f"{pid}:{bytes}" for pid, bytes in ours.items()),
            graphics=",".join(f"{pid}:{bytes}" for pid, bytes in graphics.items()),
            used=sum(ours.values()) + sum(graphics.values()),
        )


@pytest.fixture
def desk(fake_cards: FakeCards, bench: Bench) -> Desk:
    return Desk(fake_cards, bench)


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


def test_heat(watch: Watch, fake_cards: FakeCards, run: Path) -> None:
    watch.rule(hot_celsius=83)
    watch.start(run)
    fake_cards.set(temperature=84)
    watch.pass_time(9)
    assert watch.goes_on(run)
    watch.pass_time(2)
    assert watch.paused(run) == "heat"
    fake_cards.set(temperature=74)
    watch.pass_time(300)
    assert watch.waits(run)
    fake_cards.set(temperature=73)
    watch.pass_time(61)
    watch.until(lambda: watch.stepped(run))


def test_who_leaves_lets_the_machine_sleep(watch: Watch, run: Path) -> None:
    watch.start(run)
    assert watch.system.awake
    watch.guard.leave()
    assert not watch.system.awake


def test_battery(watch: Watch, run: Path) -> None:
    watch.rule(on_battery=True)
    watch.start(run)
    watch.system.battery = True
    watch.pass_time(11)
    assert watch.paused(run) == "battery"
    assert not watch.system.awake
    watch.system.battery = False
    watch.pass_time(11)
    watch.until(lambda: watch.stepped(run))
    assert watch.system.awake


def test_hours(watch: Watch) -> None:
    watch.rule(hours="22:00-08:00")
    first, second = watch.bench.run(""), watch.bench.run("")
    watch.start(first)
    watch.start(second)
    watch.wall = datetime.datetime(2026, 11, 23, 7, 59, 50)
    watch.pass_time(9)
    assert watch.goes_on(first)
    watch.pass_time(1)
    assert {watch.paused(first), watch.paused(second)} == {"hours"}
    watch.wall = datetime.datetime(2026, 11, 23, 21, 59, 50)
    watch.pass_time(9)
    assert not watch.engines.rows()
    watch.pass_time(1)
    watch.until(lambda: watch.stepped(first) and watch.stepped(second))


def test_a_run_goes_on_only_when_no_reason_is_left(
    watch: Watch, fake_cards: FakeCards, run: Path
) -> None:
    watch.rule(on_battery=True, hot_celsius=80)
    watch.start(run)
    fake_cards.set(temperature=90)
    watch.pass_time(11)
    assert watch.paused(run) == "heat"
    watch.system.battery = True
    watch.pass_time(11)
    fake_cards.set(temperature=40)
    watch.pass_time(120)
    assert watch.guard.holding == "battery"
    assert watch.waits(run)
    watch.system.battery = False
    watch.pass_time(11)
    watch.until(lambda: watch.stepped(run))


def test_a_new_rule_counts_at_once_and_one_switched_off_lets_go(watch: Watch, run: Path) -> None:
    watch.start(run)
    watch.pass_time(2)
    watch.rule(hours="10:00-11:00")
    watch.pass_time(1)
    assert watch.paused(run) == "hours"
    watch.rule(hours="")
    watch.pass_time(1)
    watch.until(lambda: watch.stepped(run))


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


def test_a_card_that_is_lost_stops_nothing(watch: Watch, fake_cards: FakeCards, run: Path) -> None:
    watch.rule(game_mode=True, hot_celsius=80)
    watch.start(run)
    fake_cards.break_down()
    watch.pass_time(120)
    assert watch.goes_on(run)


def test_the_queue_waits_with_what_waits(bench: Bench) -> None:
    """Nothing begins while a reason holds, and nothing else takes the place of what waits."""
    queued = [bench.run(""), bench.run("")]
    _rule(bench, hours=_not_now())
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        for folder in queued:
            keeper.queue_add(folder)
        keeper.queue_run(True)
        _look_on(keeper)
        assert keeper.jobs() == []
        _rule(bench, hours="")
        ear = Ear(keeper, queued[0])
        ear.until(events.Step)
        _rule(bench, hours=_not_now())
        ear.hear(lambda event: isinstance(event, events.Paused) and event.reason == "hours")
        ear.to_end()
        _look_on(keeper)
        assert keeper.jobs() == []
        assert keeper.queue_run(True).current == queued[0].name
        _rule(bench, hours="")
        ear.until(events.Step)
        assert [row.name for row in keeper.jobs()] == [queued[0].name]
        keeper.tell(queued[0], commands.Stop())
        Ear(keeper, queued[1]).until(events.Step)
        keeper.queue_run(False)


def _rule(bench: Bench, **rules: object) -> None:
    now = settings.load(bench.home)
    changed = msgspec.structs.replace(now.guard, **rules)
    settings.save(bench.home, msgspec.structs.replace(now, guard=changed))


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
    _rule(bench, game_mode=True)
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
