"""One engine's process: launched here, or adopted from an earlier keeper."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import psutil

from studio.core import commands, events
from studio.core.commands import AnyCommand
from studio.core.errors import StudioError
from studio.core.events import AnyEvent
from studio.core.run_state import RunState, after
from studio.core.stall import StallGuard
from studio.core.wire import JobRow
from studio.keeper import launching, outcome, shutdown, sweep
from studio.keeper.machine import engine_environment
from studio.keeper.spare import Spare
from studio.keeper.watch import Cursor
from studio.library import jobs, locks
from studio.library.files import sweep_partials
from studio.library.folders import Home, JobFolder

_log = logging.getLogger(__name__)

FINAL = (events.Finished, events.Paused, events.Cancelled, events.Failed)
OUTLIVES = tuple(str(job.__struct_config__.tag) for job in commands.OUTLIVES_CLIENT)


def launch(home: Home, folder: Path, owner: object, scale: float, spare: Spare) -> Engine:
    """Start the engine of a job folder, or give the job to the spare one; StudioError where the
    system won't."""
    kind = str(type(jobs.job_of(folder)).__struct_config__.tag)
    engine = Engine(folder, kind, owner, scale)
    engine.begin()
    with JobFolder(folder).engine_log.open("ab") as log:
        engine.printed_from = log.seek(0, os.SEEK_END)
    chosen = engine_environment(home)
    if taken := spare.take(folder, chosen):
        engine.follow(*taken)
        engine.anew = lambda: engine.start(home, chosen)
    else:
        engine.start(home, chosen)
    return engine


def adopt(folder: Path, scale: float, loading: int | None = None) -> Engine:
    """Take over the living engine that holds the folder's lock, or the process that is just
    `loading` and will take it."""
    kind = str(type(jobs.job_of(folder)).__struct_config__.tag)
    engine = Engine(folder, kind, None, scale)
    engine.pid = loading or locks.holder(JobFolder(folder).lock)
    with contextlib.suppress(psutil.Error):
        engine.foreign = psutil.Process(engine.pid) if engine.pid else None
        engine.mark = sweep.mark_of(engine.foreign)
    engine.begin() if loading else engine.catch_up()
    if kind not in OUTLIVES:
        engine.ladder = shutdown.abandoned(time.monotonic(), scale)
    return engine


class Engine:
    """What the keeper knows of one engine. Driven by `tick`, which never waits for it."""

    def __init__(self, folder: Path, kind: str, owner: object, scale: float) -> None:
        self.folder = folder
        self.kind = kind
        self.owner = owner
        self.process: subprocess.Popen[bytes] | None = None
        self.foreign: psutil.Process | None = None
        self.pid: int | None = None
        self.mark = ""
        self.anew: Callable[[], None] | None = None
        """What to do once where it dies without a word."""
        self.state = RunState()
        self.ladder: shutdown.Ladder | None = None
        self.printed_from = 0
        self.unwritten: events.Ended | None = None
        self._cursor = Cursor(folder)
        self._scale = scale
        self._silent = True
        self._said = False
        self._heard_at = time.monotonic()
        self._stall = StallGuard()
        self._held_back: list[AnyCommand] = []

    def start(self, home: Home, environment: Mapping[str, str]) -> None:
        """A process of its own; StudioError where the system won't."""
        words, mark = ["--home", str(home.root), "--folder", str(self.folder)], str(self.folder)
        listens = self.kind not in OUTLIVES
        with JobFolder(self.folder).engine_log.open("ab") as output:
            process = launching.start(words, mark, output, listens=listens, environment=environment)
        self.follow(process, mark)

    def follow(self, process: subprocess.Popen[bytes], mark: str) -> None:
        """This process, which carries this mark, is the engine."""
        self.process, self.pid, self.mark = process, process.pid, mark

    def catch_up(self) -> None:
        """Read the log as it stands."""
        while found := self._cursor.more(1 << 20):
            self._note(found, time.monotonic())

    def begin(self) -> None:
        """What the log says up to here was not this engine's word."""
        self.catch_up()
        self._silent, self._said = True, False

    def tell(self, command: AnyCommand) -> None:
        """Leave a command for the engine, at the latest when it has said its first word."""
        ladder = shutdown.ladder_for(command, self.kind, time.monotonic(), self._scale)
        if ladder and (self.ladder is None or self.ladder.patience > ladder.patience):
            self.ladder = ladder
        if self._silent:
            self._held_back.append(command)
        else:
            jobs.tell(self.folder, command)

    def abandon(self) -> None:
        """Its client is gone, and it dies with it: end its input, then climb the ladder."""
        self._close_input()
        self.ladder = self.ladder or shutdown.abandoned(time.monotonic(), self._scale)

    def tick(self, now: float) -> bool:
        """Listen, see an ending through; True once the engine is gone and that is written."""
        self._listen(now)
        if not self._gone():
            self._climb(now)
            if self._stall.look(now) and not self.ending:
                jobs.append(
                    self.folder, events.Note(text=self._stall.text(now), severity="warning")
                )
            return False
        return self._displaced() or self._finish()

    @property
    def ending(self) -> bool:
        """Whether it was asked to end, or has said its last word."""
        return self.ladder is not None or self._said

    def row(self, folder: str) -> JobRow:
        """Its line in the list of living jobs."""
        working = "starting" if self._silent else "running"
        stalled = self._stall.stalled
        return JobRow(
            folder=folder,
            kind=self.kind,
            name=self.folder.name,
            state="ending" if self.ending else working,
            stage=self._stall.words(time.monotonic()) if stalled else self.state.stage,
            share=self.state.share,
            eta_seconds=None if stalled else self.state.eta_seconds,
            memory_bytes=self.state.memory_bytes,
        )

    def _listen(self, now: float) -> None:
        found = self._cursor.more()
        if not found:
            return
        self._heard_at = now
        self._note(found, now)
        while self._held_back:
            jobs.tell(self.folder, self._held_back.pop(0))

    def _note(self, found: list[AnyEvent], now: float) -> None:
        self._silent = False
        for event in found:
            self.state = after(self.state, event)
            self._stall.hear(event, now)
            if isinstance(event, events.Started | events.Ended):
                self._said = False
            elif isinstance(event, FINAL):
                self._said = True

    def _gone(self) -> bool:
        if self.process is not None:
            return launching.exited(self.process)
        if self.foreign is not None:
            try:
                return self.foreign.status() == psutil.STATUS_ZOMBIE
            except psutil.Error:
                return True
        return not locks.held(JobFolder(self.folder).lock)

    def _displaced(self) -> bool:
        """Whether the folder is another engine's: this one found its lock taken and left."""
        lock = JobFolder(self.folder).lock
        holder = locks.holder(lock)
        if self.pid is None or holder in (None, self.pid) or not locks.held(lock):
            return False
        if self.process is not None:
            self.process.wait()
        self._close_input()
        return psutil.pid_exists(holder)

    def _climb(self, now: float) -> None:
        if self.ladder is None or self.pid is None:
            return
        rung = self.ladder.climb(now, self._heard_at)
        if rung:
            self._close_input()
            sweep.signal_group(self.pid, kill=rung == "kill")

    def _finish(self) -> bool:
        """See an ending through; False where another process took the job up.

        Its group is killed before the process is reaped: then its number may become another's.
        """
        if self.process is not None and self.process.returncode is None:
            sweep.signal_group(self.process.pid, kill=True)
        sweep.sweep(self.folder, self.mark)
        _sweep_target(self.folder)
        self._close_input()
        code = self.process.wait() if self.process else None
        self.catch_up()
        if self._begin_anew():
            return False
        try:
            self._write_end(code)
        except OSError as error:
            self.unwritten = outcome.unwritten(error, code, said=self._said)
            raise
        return True

    def _begin_anew(self) -> bool:
        """A spare that died before its first word is nobody's loss."""
        anew, self.anew = self.anew, None
        if anew is None or self.ladder or not self._silent:
            return False
        try:
            anew()
        except StudioError as error:
            _log.warning("%s: no engine in place of a dead spare: %s", self.folder, error.text)
            return False
        return True

    def _write_end(self, code: int | None) -> None:
        forced = self.ladder.request if self.ladder and self.ladder.rung != "ask" else ""
        if forced in ("cancel", "leave") and not self._said:
            jobs.append(self.folder, events.Cancelled())
            self._said, forced = True, ""
        elif self.kind not in OUTLIVES and self.ladder and not self._said:
            self._said = True
        jobs.append(
            self.folder,
            outcome.ended(
                self.folder,
                code,
                said=self._said,
                forced=forced,
                printed_from=self.printed_from,
            ),
        )

    def _close_input(self) -> None:
        if self.process and self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()


def _sweep_target(folder: Path) -> None:
    """Delete what a killed merge, export or import had written, which lies beside its target."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        job = jobs.job_of(folder)
        if isinstance(job, commands.Merge | commands.Export | commands.Import):
            sweep_partials(Path(job.out).parent, Path(job.out).name)
