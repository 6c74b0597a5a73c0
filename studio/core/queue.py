"""The queue: runs that wait for their turn, and what happens when all are done."""

from __future__ import annotations

from typing import Literal

import msgspec

from studio.core.guard import REASON_WORDS, REASONS
from studio.core.run_state import RunState

Then = Literal["nothing", "sleep", "shut-down"]
Fate = Literal["again", "waits", "hold", "over"]

COUNTDOWN_SECONDS = 60.0
TRIES = 3
"""So often in a row the queue starts a run that takes the whole machine along each time."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in the order of their turn, by their folders' names. `running`: the next one is started
    as soon as no training is at work; it stays so over restarts, and ends with the last run.

    `current` is the training at work, or waiting for what paused it, while the queue is running.
    `then` is done once the last has ended, at `then_at` (seconds since the epoch, 0 while nothing
    is counted down), and forgotten after that. `text` says in a sentence why the queue waits or
    stopped by itself. The rest is the keeper's own: when each run was created, by which a renamed
    folder is found again; how long the log of `current` was when the queue started it (bytes), and
    how often in a row it has done so.
    """

    waiting: tuple[str, ...] = ()
    running: bool = False
    then: Then = "nothing"
    current: str = ""
    then_at: float = 0.0
    text: str = ""
    created: dict[str, float] = {}
    offset: int = 0
    tries: int = 0


def added(queue: Queue, name: str, at: int | None = None, created: float = 0.0) -> Queue:
    """With this run at a place counted from 0, at the end without one; moved if already there."""
    rest = [each for each in queue.waiting if each != name]
    place = len(rest) if at is None else max(0, min(at, len(rest)))
    waiting = (*rest[:place], name, *rest[place:])
    born = queue.created | ({name: created} if created else {})
    return msgspec.structs.replace(queue, waiting=waiting, created=born, text="")


def removed(queue: Queue, name: str) -> Queue:
    """Without this run."""
    rest = tuple(each for each in queue.waiting if each != name)
    return _tidied(msgspec.structs.replace(queue, waiting=rest))


def renamed(queue: Queue, old: str, new: str) -> Queue:
    """With a run's new name wherever the old one stood."""
    return msgspec.structs.replace(
        queue,
        waiting=tuple(new if each == old else each for each in queue.waiting),
        current=new if queue.current == old else queue.current,
        created={new if each == old else each: at for each, at in queue.created.items()},
    )


def switched(queue: Queue, on: bool, then: Then | None = None) -> Queue:
    """Running or not, and what is done afterwards; also what a countdown needs to end."""
    queue = queue if on else ended(queue)
    return msgspec.structs.replace(
        queue, running=on, then=then or queue.then, then_at=0.0, text="", tries=0
    )


def begun(queue: Queue, name: str, offset: int, created: float = 0.0) -> Queue:
    """This run is at work now; `offset` is the length of its log (bytes) before it was started."""
    again = name == queue.current
    queue = msgspec.structs.replace(
        removed(queue, name),
        current=name,
        offset=offset,
        tries=queue.tries + 1 if again else 1,
        then_at=0.0,
        text="",
    )
    return msgspec.structs.replace(queue, created=queue.created | {name: created})


def ended(queue: Queue) -> Queue:
    """The run at work is over."""
    return _tidied(msgspec.structs.replace(queue, current="", offset=0, tries=0))


def held(queue: Queue, text: str) -> Queue:
    """Stopped for this reason, with the run that was at work as the next one."""
    waiting = (queue.current, *(each for each in queue.waiting if each != queue.current))
    queue = msgspec.structs.replace(queue, waiting=waiting, running=False, text=text)
    return ended(queue)


def kept_waiting(queue: Queue, reason: str) -> Queue:
    """Running, with nothing at work for one of the guard's reasons, or none any more."""
    text = f"Waits: {REASON_WORDS.get(reason, reason)}." if reason else ""
    return msgspec.structs.replace(queue, text=text)


def finished(queue: Queue, text: str = "") -> Queue:
    """All is done, also what was to be done then."""
    return msgspec.structs.replace(queue, running=False, then="nothing", then_at=0.0, text=text)


def fate(queue: Queue, state: RunState, *, started: bool, unseen: bool) -> Fate:
    """What becomes of the current run when no engine is at work on it.

    `started`: its log grew since the queue started it. `unseen`: its engine ended while no keeper
    was there, most often with the machine itself.
    """
    if not started or (unseen and state.state == "crashed"):
        return "again" if queue.tries < TRIES else "over"
    if state.state == "paused":
        return "waits" if state.pause_reason in REASONS else "hold"
    return "over"


def _tidied(queue: Queue) -> Queue:
    """Nothing is remembered of runs that are no longer in it."""
    named = {*queue.waiting, queue.current}
    born = {name: at for name, at in queue.created.items() if name in named}
    return msgspec.structs.replace(queue, created=born)
