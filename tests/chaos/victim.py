"""A run that is killed again and again, and taken up each time as a person would."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from studio.client import actions
from studio.client.keeper import Keeper
from studio.core import events as ev
from studio.library import jobs, locks
from studio.library.files import PARTIAL
from studio.library.folders import Home, JobFolder
from tests.chaos.strikes import EVAL_EVERY, Strike
from tests.end_to_end.left import JOB, processes_of

_PUBLISHING = "Saving what was learnt"
_ASK_SECONDS = 0.2
_MOST_SECONDS = 60.0
"""An engine that says nothing for longer hangs; how fast it is depends on the machine."""


class Victim:
    """Driven by `tick`, which never waits. `done` once the run is finished and its engine gone.

    `strikes` are taken from its front; a run that finishes before a kill comes leaves it there.
    """

    def __init__(
        self, home: Home, folder: Path, strikes: list[Strike], kill_keeper: Callable[[], None]
    ) -> None:
        self.folder = folder
        self.done = False
        self.kills: list[str] = []
        self.resumes = 0
        self._home = home
        self._strikes = strikes
        self._kill_keeper = kill_keeper
        self._living = False
        self._offset = 0
        self._launched = 0.0
        self._heard = 0.0
        self._seen_at: float | None = None
        self._seen = 0
        self._within = False
        self._asked = 0.0

    def tick(self, keeper: Keeper) -> None:
        """See to it once: launch, strike, or notice the end."""
        new, self._offset = jobs.read_events(self.folder, self._offset)
        now = time.monotonic()
        if new:
            self._heard = now
        if not self._living:
            self._launch(keeper)
        elif self._over(keeper, now):
            self._living = False
            self.done = jobs.state(self.folder).state == "finished"
        elif now - self._heard > _MOST_SECONDS:
            raise AssertionError(f"{self.folder.name} hangs: {jobs.state(self.folder)}")
        elif self._strikes and self._is_time(self._strikes[0], new):
            self._strike(self._strikes[0])

    def _over(self, keeper: Keeper, now: float) -> bool:
        """Whether the keeper has nothing at work there any more; asked now and then."""
        if now - self._asked < _ASK_SECONDS:
            return False
        self._asked = now
        return str(self.folder) not in [row.folder for row in keeper.jobs()]

    def _launch(self, keeper: Keeper) -> None:
        state = jobs.state(self.folder)
        assert state.state in ("created", "crashed"), f"{state.title}: {state.text}"
        actions.resume_run(self._home, self.folder, keeper=keeper)
        self.resumes += state.state == "crashed"
        self._living = True
        self._launched = self._asked = self._heard = time.monotonic()
        self._seen_at, self._seen, self._within = None, 0, False

    def _is_time(self, strike: Strike, new: list[ev.AnyEvent]) -> bool:
        now = time.monotonic()
        if strike.moment == "any":
            return now - self._launched >= strike.seconds
        if self._seen_at is None and self._sees(strike, new):
            self._seen_at = now
        return self._seen_at is not None and now - self._seen_at >= strike.seconds

    def _sees(self, strike: Strike, new: list[ev.AnyEvent]) -> bool:
        match strike.moment:
            case "saving":
                happens = _writes_checkpoint(self.folder)
            case "evaluating":
                happens = any(isinstance(e, ev.Step) and e.step % EVAL_EVERY == 0 for e in new)
            case _:
                happens = any(isinstance(e, ev.Stage) and e.text == _PUBLISHING for e in new)
        self._seen += happens and not self._within
        self._within = happens
        return self._seen > strike.skip

    def _strike(self, strike: Strike) -> None:
        engine = _engine_of(self.folder)
        if engine is None:  # not yet there
            return
        if strike.keeper:
            self._kill_keeper()
        with contextlib.suppress(psutil.NoSuchProcess):
            engine.kill()
        self.kills.append(strike.moment)
        del self._strikes[0]
        self._asked = 0.0


def _writes_checkpoint(folder: Path) -> bool:
    try:
        return any(p.name.startswith(PARTIAL) for p in JobFolder(folder).checkpoints.iterdir())
    except OSError:
        return False


def _engine_of(folder: Path) -> psutil.Process | None:
    """Whoever holds the folder's lock, or else the process that is on its way there."""
    pid = locks.holder(JobFolder(folder).lock)
    with contextlib.suppress(psutil.Error):
        holder = psutil.Process(pid) if pid else None
        if holder and holder.environ().get(JOB) == str(folder):
            return holder
    return next(iter(processes_of(folder)), None)
