"""The queue's file: written by the keeper alone, read by anybody."""

from __future__ import annotations

import time
from pathlib import Path

from studio.core.errors import StudioError
from studio.core.queue import Queue, ended, removed, renamed
from studio.library import formats, runs
from studio.library.files import write_whole
from studio.library.folders import Home, JobFolder, free_path

_TITLE = "The queue can't be read"


class Unreadable(StudioError):
    """The file is no queue at all."""


def load(home: Home) -> Queue:
    """The queue as it was saved; an empty one where there is none.

    Raises Unreadable for a broken file, Newer for a newer studio's, and StudioError where the
    system refuses.
    """
    try:
        content = home.queue.read_bytes()
    except FileNotFoundError:
        return Queue()
    except OSError as error:
        raise StudioError(
            _TITLE,
            f"{home.queue} can't be opened ({error.strerror or error}).",
            "Make it readable, then try again.",
        ) from error
    try:
        return formats.decode("queue", content, Queue, "The queue")
    except ValueError as error:
        raise Unreadable(
            _TITLE,
            f"{home.queue} is broken: {error}.",
            "Put the runs into the queue again; the runs themselves are as they were.",
        ) from error


def save(home: Home, queue: Queue) -> None:
    """Write the queue; OSError where the home folder can't be written."""
    write_whole(home.queue, formats.encode("queue", queue))


def set_aside(home: Home) -> Path:
    """Give a file that can't be read another name, for whoever wants to mend it."""
    name = f"queue-unreadable-{time.strftime('%Y%m%d-%H%M%S')}.json"
    aside = free_path(home.root, name)
    home.queue.rename(aside)
    return aside


def in_step(home: Home, queue: Queue) -> Queue:
    """The queue with the runs as they are called now, and without those that are gone."""
    for name in (*queue.waiting, queue.current):
        if name and not _is_there(home, queue, name):
            if new := _elsewhere(home, queue.created.get(name, 0.0)):
                queue = renamed(queue, name, new)
            else:
                queue = ended(queue) if name == queue.current else removed(queue, name)
    return queue


def _is_there(home: Home, queue: Queue, name: str) -> bool:
    """Whether this folder is that run, and not a later one that took its name."""
    folder = home.runs / name
    if not JobFolder(folder).job.is_file():
        return False
    created = queue.created.get(name, 0.0)
    return not created or runs.state_of(folder).created_at == created


def _elsewhere(home: Home, created: float) -> str:
    """The name of the run that was created then; empty where there is none."""
    if not created or not home.runs.is_dir():
        return ""
    folders = (path for path in home.runs.iterdir() if JobFolder(path).job.is_file())
    found = (path.name for path in folders if runs.state_of(path).created_at == created)
    return next(found, "")
