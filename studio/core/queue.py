"""The queue: runs that wait for their turn, and what happens when all are done."""

from __future__ import annotations

from typing import Literal

import msgspec

Then = Literal["nothing", "sleep", "shut-down"]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in the order of their turn, by their folders' names. `running`: the next one is started
    as soon as no training is at work; it stays so over restarts. `then` is done once the last has
    ended, and forgotten after that. `current` is the run that the queue started last."""

    waiting: tuple[str, ...] = ()
    running: bool = False
    then: Then = "nothing"
    current: str = ""


def added(queue: Queue, name: str, at: int | None = None) -> Queue:
    """With this run at a place counted from 0, at the end without one; moved if already there."""
    rest = [each for each in queue.waiting if each != name]
    place = len(rest) if at is None else max(0, min(at, len(rest)))
    return msgspec.structs.replace(queue, waiting=(*rest[:place], name, *rest[place:]))


def removed(queue: Queue, name: str) -> Queue:
    """Without this run."""
    rest = tuple(each for each in queue.waiting if each != name)
    return msgspec.structs.replace(queue, waiting=rest)
