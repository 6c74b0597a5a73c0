"""What tests of the guard stand on: a system, a card and a home that a test describes."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from studio.core import commands, events
from studio.core.facts import Ability
from studio.core.run_state import RunState
from studio.keeper.engine import Engine
from studio.keeper.engines import Engines
from studio.keeper.guard import Guard
from studio.library import jobs, runs, settings
from tests.support.keeping import Bench, wait
from tests.support.nvml import GIB, FakeCards

NIGHT = datetime.datetime(2026, 11, 22, 23, 0)


def set_rules(bench: Bench, **rules: object) -> None:
    """Change these of the home's rules."""
    now = settings.load(bench.home)
    changed = msgspec.structs.replace(now.guard, **rules)
    settings.save(bench.home, msgspec.structs.replace(now, guard=changed))


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
        set_rules(self.bench, **rules)

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
