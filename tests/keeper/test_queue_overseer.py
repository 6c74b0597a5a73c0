"""What the queue decides, tick by tick: a clock of our own, a machine that only says it sleeps."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.core import commands, events, upgrades
from studio.core.errors import StudioError
from studio.core.facts import Ability
from studio.core.guard import REASON_WORDS
from studio.core.queue import COUNTDOWN_SECONDS, TRIES, Queue, Then
from studio.core.upgrades import FORMATS
from studio.keeper.engines import Engines
from studio.keeper.queue import QueueOverseer
from studio.library import jobs, queue, runs
from tests.support.keeping import Bench, wait


def _said(folder: Path, kind: type[events.Event]) -> int:
    return sum(isinstance(event, kind) for event in jobs.read_events(folder)[0])


class Machine:
    """A system that does nothing but say what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False

    def sleep(self) -> None:
        self._ask("sleep")

    def shut_down(self) -> None:
        self._ask("shut-down")

    def abilities(self) -> tuple[Ability, ...]:
        return ()

    def keep_awake(self) -> None:
        return

    def let_sleep(self) -> None:
        return

    def on_battery(self) -> bool | None:
        return None

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.refuses:
            raise StudioError("It stays awake", "The system refused.")


class Keeping:
    """Engines and the queue as one keeper has them; `now` is its clock."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.machine = Machine()
        self.holding = ""
        self.now = 1000.0
        self.begin()

    def begin(self) -> None:
        """Another keeper takes over."""
        self.pushed: list[Queue] = []
        self.engines = Engines(self.bench.home, 0.05)
        self.engines.recover()
        self.queue = QueueOverseer(
            self.bench.home, self.engines, self.machine, self.pushed.append, lambda: self.holding
        )

    def tick(self, seconds: float = 0.0) -> Queue:
        self.now += seconds
        self.engines.tick()
        self.queue.tick(self.now)
        return self.queue.now

    def until_over(self, *folders: Path) -> None:
        """Tick until these runs have ended, in no time by our clock."""

        def over() -> bool:
            self.tick()
            ended = all(runs.state_of(f).state not in ("created", "running") for f in folders)
            return ended and not self.engines.rows()

        wait(over)


@pytest.fixture
def keeping(bench: Bench) -> Iterator[Keeping]:
    keeping = Keeping(bench)
    yield keeping
    for row in keeping.engines.rows():
        keeping.engines.tell(Path(row.folder), commands.Cancel())

    def gone() -> bool:
        keeping.engines.tick()
        return not keeping.engines.rows()

    wait(gone)


@pytest.fixture
def counting(bench: Bench, keeping: Keeping) -> Keeping:
    """The last run has ended and the machine is to sleep."""
    run = bench.run("step:1,finish")
    keeping.queue.add(run, None)
    keeping.queue.run(True, "sleep")
    keeping.until_over(run)
    wait(lambda: keeping.tick().then_at)
    return keeping


def test_sleep_comes_a_minute_after_the_last_run_and_once(counting: Keeping) -> None:
    assert abs(counting.pushed[-1].then_at - time.time() - COUNTDOWN_SECONDS) < 20
    counting.tick(COUNTDOWN_SECONDS - 1)
    assert counting.machine.asked == []
    assert counting.queue.busy
    counting.tick(2)
    assert counting.machine.asked == ["sleep"]
    assert counting.queue.now == queue.load(counting.bench.home) == Queue()
    counting.tick(1000)
    assert counting.machine.asked == ["sleep"]
    assert not counting.queue.busy


@pytest.mark.parametrize(("on", "then"), [(False, None), (False, "nothing"), (True, "nothing")])
def test_it_can_be_called_off(counting: Keeping, on: bool, then: Then | None) -> None:
    counting.queue.run(on, then)
    assert counting.pushed[-1].then_at == 0.0
    for _ in range(3):
        counting.tick(COUNTDOWN_SECONDS)
    assert counting.machine.asked == []
    assert counting.queue.now == Queue()


def test_one_more_run_comes_before_the_sleep(bench: Bench, counting: Keeping) -> None:
    run = bench.run("gate:open,finish")
    counting.queue.add(run, None)
    wait(lambda: counting.tick().current == run.name)
    assert counting.tick(2 * COUNTDOWN_SECONDS).then_at == 0.0
    (run / "open").touch()
    counting.until_over(run)
    wait(lambda: counting.tick().then_at)
    counting.tick(COUNTDOWN_SECONDS - 1)
    assert counting.machine.asked == []
    counting.tick(2)
    assert counting.machine.asked == ["sleep"]


def test_nobody_sleeps_while_a_merge_is_at_work(bench: Bench, counting: Keeping) -> None:
    merge = jobs.create(bench.home, commands.Merge(adapter="a", out=str(bench.home.root), base="b"))
    (merge / "fake.txt").write_text("gate:open,finish", "utf-8")
    counting.engines.start(merge, None, None)
    assert counting.tick(2 * COUNTDOWN_SECONDS).then_at == 0.0
    assert counting.machine.asked == []
    (merge / "open").touch()
    wait(lambda: counting.tick(2).then_at)


def test_nobody_sleeps_while_a_run_waits_to_go_on(bench: Bench, counting: Keeping) -> None:
    waits = bench.run("")
    jobs.append(waits, events.Paused(checkpoint="", step=1, reason="heat"))
    counting.tick(COUNTDOWN_SECONDS + 1)
    assert counting.tick(2 * COUNTDOWN_SECONDS).then_at == 0.0
    assert counting.machine.asked == []
    jobs.append(waits, events.Paused(checkpoint="", step=1))
    assert counting.tick(2).then_at
    counting.tick(COUNTDOWN_SECONDS + 1)
    assert counting.machine.asked == ["sleep"]


def test_the_next_keeper_counts_anew(counting: Keeping) -> None:
    counting.tick(COUNTDOWN_SECONDS - 1)
    counting.begin()
    counting.tick(2)
    assert counting.machine.asked == []
    counting.tick(COUNTDOWN_SECONDS + 1)
    assert counting.machine.asked == ["sleep"]
    counting.begin()
    assert counting.queue.now == Queue()


@pytest.mark.usefixtures("warnings_expected")
def test_a_machine_that_refuses_is_said(counting: Keeping) -> None:
    counting.machine.refuses = True
    counting.tick(COUNTDOWN_SECONDS + 1)
    assert counting.queue.now == Queue(text="It stays awake: The system refused.")


def test_it_waits_for_what_the_guard_paused(bench: Bench, keeping: Keeping) -> None:
    first, second = bench.run(""), bench.run("step:1,finish")
    keeping.queue.add(first, None)
    keeping.queue.add(second, None)
    keeping.queue.run(True, None)
    wait(lambda: keeping.tick() and runs.state_of(first).step > 1)
    keeping.engines.tell(first, commands.Pause(reason="game"))
    keeping.until_over(first)
    assert runs.state_of(first).pause_reason == "game"
    for _ in range(5):
        assert keeping.tick(100).current == first.name
    assert queue.load(bench.home).text == f"Waits: {REASON_WORDS['game']}."
    assert runs.state_of(second).state == "created"
    jobs.append(first, events.Paused(checkpoint="", step=2))
    assert keeping.tick().waiting == (first.name, second.name)
    assert not keeping.queue.busy


def test_nothing_starts_while_something_speaks_against_it(bench: Bench, keeping: Keeping) -> None:
    run = bench.run("step:1,finish")
    keeping.queue.add(run, None)
    keeping.queue.run(True, None)
    keeping.holding = "heat"
    for _ in range(3):
        keeping.tick(100)
    assert runs.state_of(run).state == "created"
    assert keeping.queue.busy
    assert keeping.queue.now.text == f"Waits: {REASON_WORDS['heat']}."
    keeping.holding = ""
    assert keeping.tick().text == ""
    keeping.until_over(run)


def test_what_takes_the_machine_along_each_time_is_given_up(bench: Bench, keeping: Keeping) -> None:
    bad, good = bench.run("step:1,gate:never"), bench.run("step:1,finish")
    keeping.queue.add(bad, None)
    keeping.queue.add(good, None)
    keeping.queue.run(True, None)
    for number in range(1, TRIES + 1):
        wait(lambda: keeping.tick() and _said(bad, events.Step) >= number)  # noqa: B023
        engine = keeping.engines._engines[bad].process
        assert engine is not None
        engine.kill()
        engine.wait()
        keeping.begin()
    keeping.until_over(good)
    assert runs.state_of(bad).state == "crashed"
    assert _said(bad, events.Started) == TRIES


def test_an_empty_queue_is_not_run(keeping: Keeping) -> None:
    with pytest.raises(StudioError, match="empty"):
        keeping.queue.run(True, "shut-down")
    assert keeping.tick() == Queue()


@pytest.mark.usefixtures("warnings_expected")
def test_what_cannot_be_saved_is_not_done(
    bench: Bench, keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.run("step:1,finish")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(queue, "save", full)
        with pytest.raises(StudioError, match="No space left"):
            keeping.queue.add(run, None)
    assert keeping.queue.now == Queue()
    keeping.queue.add(run, None)
    keeping.queue.run(True, None)
    with monkeypatch.context() as patched:
        patched.setattr(queue, "save", full)
        for _ in range(3):
            assert keeping.tick(100).waiting == (run.name,)
    assert keeping.engines.rows() == []
    keeping.tick(100)
    keeping.until_over(run)
    assert runs.state_of(run).state == "finished"


@pytest.mark.usefixtures("warnings_expected")
def test_a_file_that_cannot_be_read_is_set_aside_and_said(bench: Bench, keeping: Keeping) -> None:
    bench.home.queue.write_bytes(b'{"format": 1, "waiting": ["a",')
    keeping.begin()
    (aside,) = bench.home.root.glob("queue-unreadable-*.json")
    assert aside.read_bytes() == b'{"format": 1, "waiting": ["a",'
    assert aside.name in keeping.queue.now.text
    run = bench.run("step:1,finish")
    assert keeping.queue.add(run, None).text == ""
    assert queue.load(bench.home).waiting == (run.name,)


@pytest.mark.usefixtures("warnings_expected")
def test_a_newer_studios_file_is_left_alone(bench: Bench, keeping: Keeping) -> None:
    newer = json.dumps({"format": FORMATS["queue"] + 1, "lines": [["a"]]}).encode()
    bench.home.queue.write_bytes(newer)
    keeping.begin()
    assert "newer" in keeping.queue.now.text
    with pytest.raises(upgrades.Newer):
        keeping.queue.add(bench.run("step:1,finish"), None)
    with pytest.raises(upgrades.Newer):
        keeping.queue.run(True, None)
    with pytest.raises(upgrades.Newer):
        keeping.queue.remove("a")
    keeping.tick(100)
    assert bench.home.queue.read_bytes() == newer


def test_only_runs_are_put_in(bench: Bench, keeping: Keeping) -> None:
    keeping.begin()
    with pytest.raises(StudioError, match="is no run"):
        keeping.queue.add(bench.home.jobs / "merge-1", None)
