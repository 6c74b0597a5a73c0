"""What tests of keeper and client share: job folders for the fake engine, and waiting."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from studio.client.keeper import Keeper
from studio.core import events
from studio.core.commands import Chat
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.core.wire import Heard
from studio.library import jobs, locks, rendezvous, runs
from studio.library.folders import Home

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30.0
RECIPE = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),))


class Bench:
    """A home with fake jobs; `script` is what the fake engine is to do (tests/fakes/engine.py)."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self, script: str) -> Path:
        folder = runs.create(self.home, RECIPE)
        (folder / "fake.txt").write_text(script, "utf-8")
        (folder / "data").mkdir()
        (folder / "data" / "manifest.json").write_text("{}", "utf-8")
        return folder

    def chat(self, script: str = "") -> Path:
        folder = jobs.create(self.home, Chat(model="somewhere"))
        (folder / "fake.txt").write_text(script, "utf-8")
        return folder

    def spawn(self, *words: str) -> subprocess.Popen[bytes]:
        """A Python process with these arguments, ended with the test."""
        process = subprocess.Popen([sys.executable, *words], cwd=ROOT)
        self._processes.append(process)
        return process

    def start_keeper(self, patience: float = 0.05, idle: float = 15.0) -> psutil.Process:
        """A keeper of our own, once it can be reached."""
        before = rendezvous.read_door(self.home)
        words = ["-m", "studio", "keeper", "--home", str(self.home.root)]
        self.spawn(*words, "--patience", str(patience), "--idle", str(idle))
        wait(lambda: rendezvous.read_door(self.home) not in (None, before))
        return psutil.Process(locks.holder(rendezvous.lock_file(self.home)))

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def wait(ready: Callable[[], object], seconds: float = SECONDS) -> None:
    """Until it is ready; an AssertionError after the deadline."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether the process has ended, waited for or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class Ear:
    """Hears one watched folder, in order."""

    def __init__(self, keeper: Keeper, folder: Path, offset: int = 0) -> None:
        self.events: list[events.AnyEvent] = []
        self.offset = offset
        self.ended = False
        self._keeper, self._folder = keeper, folder
        keeper.watch(folder, offset)

    def until(self, kind: type[events.Event], seconds: float = SECONDS) -> events.AnyEvent:
        """The next event of this kind that is heard."""
        return self.hear(lambda event: isinstance(event, kind), seconds)

    def hear(
        self, wanted: Callable[[events.AnyEvent], bool], seconds: float = SECONDS
    ) -> events.AnyEvent:
        """The next event that is wanted; AssertionError if it doesn't come in time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [event for event in self._receive() if wanted(event)]
            if found:
                return found[0]
        raise AssertionError(f"not heard in time, only {self.events[-5:]}")

    def to_end(self, seconds: float = SECONDS) -> list[events.AnyEvent]:
        """Everything until no engine is at work any more."""
        until = time.monotonic() + seconds
        while not self.ended:
            assert time.monotonic() < until, f"no end in time, last {self.events[-3:]}"
            self._receive()
        return self.events

    def _receive(self) -> list[events.AnyEvent]:
        new: list[events.AnyEvent] = []
        for pushed in self._keeper.receive(0.2):
            if isinstance(pushed, Heard) and pushed.folder == str(self._folder):
                new += pushed.events
                self.offset, self.ended = pushed.offset, pushed.ended
        self.events += new
        return new
