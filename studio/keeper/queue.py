"""Runs the queue: one training after the other, through failures and restarts."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from studio.core import guard
from studio.core import queue as core
from studio.core.commands import Train
from studio.core.errors import StudioError
from studio.core.events import Note
from studio.core.queue import Queue, Then
from studio.core.run_state import RunState
from studio.keeper.engine import OUTLIVES
from studio.keeper.engines import Engines
from studio.keeper.overseer import Overseer
from studio.keeper.system import System
from studio.library import jobs, runs
from studio.library import queue as library
from studio.library.folders import Home, JobFolder

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
RETRY_SECONDS = 2.0


class QueueOverseer(Overseer):
    """The file is written before anything is done that it speaks of, so that a keeper that takes
    over knows which run was to be started. `holding` says why nothing may start now."""

    def __init__(
        self,
        home: Home,
        engines: Engines,
        system: System,
        push: Callable[[Queue], None],
        holding: Callable[[], str] = lambda: "",
    ) -> None:
        self._home = home
        self._engines = engines
        self._system = system
        self._push = push
        self._others_holding = holding
        self._queue = Queue()
        self._refusal: StudioError | None = None
        self._load()
        self._unseen = self._queue.current
        self._look_at = self._try_at = 0.0
        self._deadline: float | None = None

    @property
    def now(self) -> Queue:
        """The queue as it is."""
        return self._queue

    @property
    def busy(self) -> bool:  # type: ignore[override]
        """Until its last run has ended, or a person stops it."""
        return self._queue.running

    def add(self, folder: Path, at: int | None) -> Queue:
        """Put a run in or elsewhere; StudioError for one that can't be started."""
        if folder.parent != self._home.runs:
            raise StudioError(
                "Nothing to train", f"“{folder.name}” is no run.", "Put runs into the queue."
            )
        if self._engines.living(folder):
            raise StudioError(
                "Nothing to wait for",
                f"“{folder.name}” is at work already.",
                "Put runs into the queue that wait, or that ended early.",
            )
        state = runs.startable(folder)
        return self._change(core.added(self._queue, folder.name, at, state.created_at))

    def remove(self, name: str) -> Queue:
        """Take a run out; StudioError where it doesn't wait."""
        self._refuse()
        if name not in self._queue.waiting:
            raise StudioError(
                "Not in the queue",
                f"“{name}” doesn't wait in the queue.",
                "A run that is at work is ended with stop, pause or cancel.",
            )
        return self._change(core.removed(self._queue, name))

    def run(self, on: bool, then: Then | None) -> Queue:
        """Begin or end starting what waits; StudioError where there is nothing to run."""
        self._refuse()
        queue = self._queue
        if on and not (queue.waiting or queue.running or self._at_work()):
            raise StudioError(
                "The queue is empty", "There is no run in it to start.", "Put a run into it first."
            )
        self._deadline = None
        if not on and not queue.waiting:
            queue = core.finished(queue)
        return self._change(core.switched(queue, on, then))

    def started(self, folder: Path) -> None:
        """A person was quicker than the queue."""
        if folder.name in self._queue.waiting:
            with contextlib.suppress(StudioError):
                self._change(core.removed(self._queue, folder.name))

    def tick(self, now: float) -> None:
        """Start what is due; where the file can't be written, later."""
        if self._refusal or now < self._try_at:
            return
        try:
            due = self._queue.running and not self._at_work()
            if due or now >= self._look_at:
                self._look_at = now + LOOK_SECONDS
                self._set(library.in_step(self._home, self._queue))
            if self._queue.running:
                self._go_on(now)
        except OSError as error:
            _log.warning("the queue can't go on: %s", error)
            self._try_at = now + RETRY_SECONDS

    def _load(self) -> None:
        try:
            self._queue = library.load(self._home)
        except library.Unreadable as error:
            aside = library.set_aside(self._home).name
            _log.error("%s It is kept as %s.", error.text, aside)
            self._queue = Queue(text=f"The queue could not be read; its file is kept as {aside}.")
        except StudioError as error:
            _log.error("%s", error)
            self._refusal = error
            self._queue = Queue(text=error.text)

    def _go_on(self, now: float) -> None:
        queue = self._queue
        if at_work := self._at_work():
            self._unseen, self._deadline = "", None
            if queue.current not in at_work:
                self._begin(at_work[0])
            else:
                self._set(core.kept_waiting(queue, ""))
        elif queue.current:
            self._settle()
        elif queue.waiting and (reason := self._others_holding()):
            self._set(core.kept_waiting(queue, reason))
        elif queue.waiting:
            self._start(queue.waiting[0])
        else:
            self._finish(now)

    def _settle(self) -> None:
        """The current run has no engine: go on with it, wait for it, or let it be."""
        queue = self._queue
        folder = self._home.runs / queue.current
        started = _length(folder) > queue.offset
        unseen = self._unseen == queue.current
        state = runs.state_of(folder)
        match core.fate(queue, state, started=started, unseen=unseen):
            case "again":
                if reason := self._others_holding():
                    self._set(core.kept_waiting(queue, reason))
                else:
                    self._start(queue.current)
            case "waits":
                self._set(core.kept_waiting(queue, state.pause_reason))
            case "hold":
                text = f"“{queue.current}” was paused, so nothing more is started."
                self._set(core.held(queue, text))
            case "over":
                self._set(core.ended(queue))

    def _start(self, name: str) -> None:
        folder = self._home.runs / name
        try:
            state = runs.startable(folder)
            self._begin(name, state)
            self._engines.start(folder, Train(resume=state.state != "created"), None)
        except StudioError as error:
            if not self._engines.living(folder):
                self._pass_over(name, error)

    def _begin(self, name: str, state: RunState | None = None) -> None:
        folder = self._home.runs / name
        state = state or runs.state_of(folder)
        self._set(core.begun(self._queue, name, _length(folder), state.created_at))

    def _pass_over(self, name: str, error: StudioError) -> None:
        text = f"The queue passed this run over. {error.title}: {error.text} {error.fix}"
        with contextlib.suppress(OSError):
            jobs.append(self._home.runs / name, Note(text=text.strip(), severity="warning"))
        queue = core.removed(self._queue, name)
        self._set(core.ended(queue) if queue.current == name else queue)

    def _finish(self, now: float) -> None:
        """Nothing waits any more: do what was wished for then, when nothing else is at work."""
        queue = self._queue
        if queue.then == "nothing":
            self._set(core.finished(queue))
        elif self._is_busy(now):
            self._deadline, self._try_at = None, now + LOOK_SECONDS
            self._set(msgspec.structs.replace(queue, then_at=0.0))
        elif self._deadline is None:
            self._deadline = now + core.COUNTDOWN_SECONDS
            then_at = time.time() + core.COUNTDOWN_SECONDS
            self._set(msgspec.structs.replace(queue, then_at=then_at))
        elif now >= self._deadline:
            self._deadline = None
            self._set(core.finished(queue))
            self._do(queue.then)

    def _is_busy(self, now: float) -> bool:
        """Whether a merge or the like is at work, or a run waits to go on by itself."""
        if any(row.kind in OUTLIVES for row in self._engines.rows()):
            return True
        if self._deadline is not None and now < self._deadline:
            return False
        return any(guard.waits(row.state) for row in runs.listing(self._home))

    def _do(self, then: Then) -> None:
        _log.info("the queue is done: %s", then)
        try:
            (self._system.sleep if then == "sleep" else self._system.shut_down)()
        except StudioError as error:
            _log.warning("%s", error)
            self._set(core.finished(self._queue, f"{error.title}: {error.text}"))

    def _at_work(self) -> list[str]:
        rows = self._engines.rows()
        return [Path(row.folder).name for row in rows if row.kind == "train"]

    def _change(self, queue: Queue) -> Queue:
        """What a client asked for."""
        self._refuse()
        try:
            self._set(queue)
        except OSError as error:
            raise StudioError(
                "The queue can't be saved",
                f"{self._home.queue} can't be written ({error.strerror or error}).",
                "Make room on the disk or the folder writable, and try again.",
            ) from error
        return queue

    def _refuse(self) -> None:
        """Raise StudioError where the file is a newer studio's, or can't be read now."""
        if self._refusal:
            raise self._refusal

    def _set(self, queue: Queue) -> None:
        if queue != self._queue:
            library.save(self._home, queue)
            self._queue = queue
            self._push(queue)


def _length(folder: Path) -> int:
    """Bytes of a run's log."""
    try:
        return JobFolder(folder).events.stat().st_size
    except OSError:
        return 0
