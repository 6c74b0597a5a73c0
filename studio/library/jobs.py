"""The folder of a job, through which keeper and engine speak: job, events, commands, lock."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import msgspec

from studio.core import commands, events
from studio.core.commands import AnyCommand, AnyJob
from studio.core.events import AnyEvent
from studio.core.run_state import RunState, replay
from studio.library import locks
from studio.library.files import append_line, read_lines, write_whole
from studio.library.folders import Home, JobFolder


def create(home: Home, job: AnyJob, folder: Path | None = None) -> Path:
    """Write a job's folder and its first event. Without `folder` a new one under jobs/."""
    kind = str(type(job).__struct_config__.tag)
    path = folder or home.jobs / f"{kind}-{uuid.uuid4().hex[:12]}"
    path.mkdir(parents=True, exist_ok=True)
    set_job(path, job)
    if not JobFolder(path).events.exists():
        append(path, events.Created(kind=kind))
    return path


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


def living(path: Path) -> bool:
    """Whether an engine holds this folder."""
    return locks.held(JobFolder(path).lock)
