"""The folder of a job, through which keeper and engine speak: job, events, commands, lock."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path

import msgspec

from studio.core import commands, events, upgrades
from studio.core.commands import AnyCommand, AnyJob
from studio.core.events import AnyEvent, Created, Ended
from studio.core.run_state import RunState, replay
from studio.core.upgrades import FORMATS
from studio.library import locks
from studio.library.files import append_line, read_lines, write_whole
from studio.library.folders import Home, JobFolder

_CREATED = b'"created"'


def create(home: Home, job: AnyJob, folder: Path | None = None) -> Path:
    """Write a job's folder and its first event. Without `folder` a new one under jobs/."""
    kind = str(type(job).__struct_config__.tag)
    path = folder or home.jobs / f"{kind}-{uuid.uuid4().hex[:12]}"
    path.mkdir(parents=True, exist_ok=True)
    set_job(path, job)
    if not JobFolder(path).events.exists():
        append(path, Created(kind=kind, format=FORMATS["run"]))
    return path


def refuse_newer(path: Path) -> None:
    """Raise Newer for the folder of a newer studio: nothing may be written to it."""
    if made := _created(path):
        upgrades.refuse_newer("run", made.format, f"“{path.name}”")


def take_up(path: Path) -> None:
    """Say in its log that the folder is of today's format from here on, where it was older.

    Raises Newer for one that is newer.
    """
    refuse_newer(path)
    made = _created(path)
    if made and made.format < FORMATS["run"]:
        append(path, msgspec.structs.replace(made, format=FORMATS["run"]))


def _created(path: Path) -> Created | None:
    """The latest word on which format the folder is of."""
    lines = (line for line in read_lines(JobFolder(path).events)[0] if _CREATED in line[:64])
    made = [event for line in lines if isinstance(event := events.decode(line), Created)]
    return max(made, key=lambda event: event.format, default=None)


def set_job(path: Path, job: AnyJob) -> None:
    """What the next engine in this folder is to do."""
    write_whole(JobFolder(path).job, commands.encode(job))


def job_of(path: Path) -> AnyJob:
    """What the engine of this folder is to do."""
    return commands.job_decoder.decode(JobFolder(path).job.read_bytes())


def append(path: Path, event: AnyEvent) -> None:
    """Add an event to the log, stamped with the time now if it has none."""
    stamped = event if event.time else msgspec.structs.replace(event, time=time.time())
    append_line(JobFolder(path).events, events.encode(stamped))


def read_events(path: Path, offset: int = 0) -> tuple[list[AnyEvent], int]:
    """The events from a byte offset on, and the offset behind the last whole line."""
    lines, end = read_lines(JobFolder(path).events, offset)
    return [events.decode(line) for line in lines], end


def tell(path: Path, command: AnyCommand) -> None:
    """Leave a command for the engine; it reads between steps, tokens or requests."""
    append_line(JobFolder(path).commands, commands.encode(command))


def read_commands(path: Path, offset: int = 0) -> tuple[list[AnyCommand], int]:
    """The commands from a byte offset on, and the offset behind them."""
    lines, end = read_lines(JobFolder(path).commands, offset)
    return [commands.command_decoder.decode(line) for line in lines], end


def state(path: Path) -> RunState:
    """Where the job stands, from its whole log."""
    return replay(read_events(path)[0])


def sweep_over(home: Home, kind: str) -> None:
    """Delete the folders of jobs of this kind that are over: nobody looks at them again."""
    for folder in home.jobs.glob(f"{kind}-*"):
        over = any(isinstance(event, Ended) for event in read_events(folder)[0])
        if over and not living(folder):
            shutil.rmtree(folder, ignore_errors=True)


def living(path: Path) -> bool:
    """Whether an engine holds this folder."""
    return locks.held(JobFolder(path).lock)
