"""All living engines of a home: start, tell, adopt, and see each to its end."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

import msgspec
import psutil

from studio.core import events
from studio.core.commands import AnyCommand, AnyJob
from studio.core.errors import StudioError
from studio.core.upgrades import Newer
from studio.core.wire import JobRow
from studio.keeper import outcome, sweep
from studio.keeper.engine import FINAL, OUTLIVES, Engine, adopt, launch
from studio.keeper.spare import Spare
from studio.keeper.watch import Cursor
from studio.library import jobs, mixing, runs
from studio.library.files import sweep_abandoned
from studio.library.folders import Home, JobFolder

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
KEEP_JOBS_SECONDS = 7 * 24 * 3600.0


class Engines:
    """May be used from any thread. `scale` multiplies the times of a shutdown."""

    def __init__(self, home: Home, scale: float = 1.0) -> None:
        self._home = home
        self._scale = scale
        self._engines: dict[Path, Engine] = {}
        self._spare = Spare(home, scale)
        self._retry_at: dict[Path, float] = {}
        self._lock = threading.RLock()

    def recover(self) -> None:
        """Adopt every engine that lives, and end the log of every one that died unseen.

        Folders of chats, merges and the like that nobody touched for a week are deleted, and so
        is what writers that were killed left half done.
        """
        home = self._home
        own = (home.root, home.runs, home.adapters, home.models, home.drafts, home.keeper)
        for folder in (*own, home.cache, home.datasets, *home.datasets.glob("*")):
            sweep_abandoned(folder)
        runs.sweep_unprepared(self._home)
        mixing.sweep_drafts(home)
        marked = sweep.marked()
        for folder in self._folders():
            try:
                self._recover(folder, marked.get(str(folder), []))
            except (OSError, msgspec.MsgspecError) as error:
                _log.warning("%s: %s", folder, error)

    def adopt_newly_found(self) -> None:
        """Adopt what took its lock only after this keeper had looked."""
        for folder in self._folders():
            if folder not in self._engines and jobs.living(folder) and _ours(folder):
                self._adopt(folder)

    def place(self, text: str) -> Path:
        """The job folder meant, in this keeper's spelling; StudioError for any other folder."""
        given = Path(text).resolve()
        for parent in (self._home.runs, self._home.jobs):
            if given.parent == parent.resolve() and given.is_dir():
                return parent / given.name
        raise StudioError(
            "Not a job of this studio",
            f"“{text}” is no run or job under {self._home.root}.",
            "List the runs and choose one of them.",
        )

    def start(self, folder: Path, job: AnyJob | None, owner: object) -> None:
        """Launch an engine; StudioError where one is at work or the job can't be read."""
        with self._lock:
            if self.living(folder):
                raise StudioError(
                    "Already running",
                    f"An engine is at work on “{folder.name}”.",
                    "Watch it, or stop it first.",
                )
            try:
                jobs.take_up(folder)
                if job is not None:
                    jobs.set_job(folder, job)
                self._engines[folder] = launch(self._home, folder, owner, self._scale, self._spare)
            except (OSError, msgspec.MsgspecError) as error:
                raise StudioError(
                    "The job can't be started",
                    f"Its folder “{folder.name}” can't be used: {error}.",
                    "Check the folder and the free disk space.",
                ) from error

    def tell(self, folder: Path, command: AnyCommand) -> None:
        """Pass a command on; StudioError where nothing runs."""
        with self._lock:
            if not self.living(folder):
                raise StudioError(
                    "Not running",
                    f"No engine is at work on “{folder.name}”.",
                    "Start or resume it first.",
                )
            self._engines[folder].tell(command)

    def living(self, folder: Path) -> bool:
        """Whether an engine is at work there, also one that this keeper didn't know of."""
        with self._lock:
            if folder not in self._engines and jobs.living(folder) and _ours(folder):
                self._adopt(folder)
            return folder in self._engines

    def known(self, folder: Path) -> bool:
        """As `living`, from memory alone."""
        return folder in self._engines

    def unwritten(self, folder: Path) -> events.Ended | None:
        """How an engine ended whose log can't be written at present."""
        engine = self._engines.get(folder)
        return engine.unwritten if engine else None

    def rows(self) -> list[JobRow]:
        """All living jobs."""
        with self._lock:
            return [engine.row(str(folder)) for folder, engine in self._engines.items()]

    def at_work(self) -> list[Engine]:
        """Every living engine."""
        with self._lock:
            return list(self._engines.values())

    def abandon(self, owner: object) -> None:
        """End what dies with this client."""
        with self._lock:
            for engine in self._engines.values():
                if engine.owner is owner and engine.kind not in OUTLIVES:
                    engine.abandon()

    def tick(self) -> None:
        """Listen to every engine once, and see those through that ended or are to end."""
        now = time.monotonic()
        with self._lock:
            for folder, engine in list(self._engines.items()):
                if self._retry_at.get(folder, 0.0) <= now and self._over(folder, engine, now):
                    del self._engines[folder]
                    self._retry_at.pop(folder, None)
                    if jobs.living(folder):
                        self._adopt(folder)

    def keep_warm(self, people: int) -> None:
        """See to the spare engine; `people` is how many there are who may want a job next."""
        with self._lock:
            computing = sum(engine.kind != "chat" for engine in self._engines.values())
            self._spare.tick(time.monotonic(), people, computing)

    def leave(self) -> None:
        """The keeper ends: the engines go on, the spare doesn't."""
        with self._lock:
            self._spare.leave()

    def _over(self, folder: Path, engine: Engine, now: float) -> bool:
        try:
            return engine.tick(now)
        except OSError as error:
            _log.warning("%s: can't write how it ended: %s", folder, error)
            self._retry_at[folder] = now + _RETRY_SECONDS
            return not folder.is_dir()

    def _recover(self, folder: Path, processes: list[psutil.Process]) -> None:
        if not _ours(folder):
            return
        if jobs.living(folder):
            self._adopt(folder)
        elif loading := sweep.engine_among(processes, folder):
            self._adopt(folder, loading)
        elif folder.parent == self._home.jobs and _is_old(folder):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            if processes:
                sweep.sweep(folder)
            _end_unseen(folder)

    def _adopt(self, folder: Path, loading: int | None = None) -> None:
        with self._lock:
            self._engines[folder] = adopt(folder, self._scale, loading)
        _log.info("adopted the engine of %s", folder.name)

    def _folders(self) -> list[Path]:
        parents = [path for path in (self._home.runs, self._home.jobs) if path.is_dir()]
        found = [folder for parent in parents for folder in parent.iterdir()]
        return [folder for folder in found if JobFolder(folder).job.is_file()]


def _ours(folder: Path) -> bool:
    """Not a newer studio's: there is nothing to be written into that."""
    try:
        jobs.refuse_newer(folder)
    except Newer:
        return False
    return True


def _is_old(folder: Path) -> bool:
    newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return time.time() - newest > KEEP_JOBS_SECONDS


def _end_unseen(folder: Path) -> None:
    """Close the log of an engine that ended while no keeper was there."""
    kind = str(type(jobs.job_of(folder)).__struct_config__.tag)
    last: events.AnyEvent | None = None
    said = False
    cursor = Cursor(folder)
    while found := cursor.more(1 << 20):
        last = found[-1]
        for event in found:
            said = isinstance(event, FINAL) or (said and not isinstance(event, events.Started))
    if last is None or isinstance(last, events.Created | events.Ended):
        return
    if not said and kind not in OUTLIVES:
        jobs.append(folder, events.Cancelled())
        said = True
    jobs.append(folder, outcome.ended(folder, None, said=said))
