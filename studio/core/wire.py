"""What the keeper and its clients say to each other: JSON messages over one local connection."""

from __future__ import annotations

from typing import Any

import msgspec

from studio.core.commands import AnyCommand, AnyJob
from studio.core.events import AnyEvent
from studio.core.facts import Machine
from studio.core.queue import Queue, Then

MAX_ASK_BYTES = 16 << 20


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask", tag=_tag):
    """A client's request; the keeper answers each with one Done or Refusal of the same id."""

    id: int = 0


class Hello(Ask, frozen=True, kw_only=True):
    """The first request. Done's value is a Welcome as plain data."""

    client: str = ""


class Start(Ask, frozen=True, kw_only=True):
    """Launch an engine for a job folder; `job` replaces what job.json says."""

    folder: str
    job: AnyJob | None = None


class Tell(Ask, frozen=True, kw_only=True):
    """Pass a command to the living engine of a folder."""

    folder: str
    command: AnyCommand


class Watch(Ask, frozen=True, kw_only=True):
    """Push the folder's events from a byte offset of its log on, old ones and new ones."""

    folder: str
    offset: int = 0


class Unwatch(Ask, frozen=True, kw_only=True):
    """Push nothing more of this folder."""

    folder: str


class Jobs(Ask, frozen=True, kw_only=True):
    """Done's value is the list of JobRow of all living jobs."""


class WatchMachine(Ask, frozen=True, kw_only=True):
    """Push MachineNow about every second, or no longer. Done's value is the machine now."""

    on: bool


class QueueAdd(Ask, frozen=True, kw_only=True):
    """Put a run that can be started or resumed into the queue, or elsewhere in it; `at` counts
    from 0, without it at the end. Done's value is the queue, as for the next two."""

    folder: str
    at: int | None = None


class QueueRemove(Ask, frozen=True, kw_only=True):
    """Take a run out of the queue; the run stays as it is."""

    folder: str


class QueueRun(Ask, frozen=True, kw_only=True):
    """Start what waits, one after the other, or let nothing more start. `then` None changes
    nothing about what happens after the last one."""

    on: bool
    then: Then | None = None


class Quit(Ask, frozen=True, kw_only=True):
    """Leave now. Jobs that outlive a client go on; the next keeper adopts them."""


AnyAsk = (
    Hello
    | Start
    | Tell
    | Watch
    | Unwatch
    | Jobs
    | WatchMachine
    | QueueAdd
    | QueueRemove
    | QueueRun
    | Quit
)


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers: the keeper's version, process and home folder."""

    version: str
    pid: int
    home: str


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One living job. `state` is "starting" until its engine said something, "ending" once it
    was asked to end or said its last word, else "running"; `share` is from 0 to 1, `memory_bytes`
    what the engine holds now (0: not known)."""

    folder: str
    kind: str
    name: str
    state: str
    stage: str = ""
    share: float | None = None
    eta_seconds: float | None = None
    memory_bytes: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="say", tag=_tag):
    """What the keeper says: an answer to a request, or something pushed."""


class Done(Answer, frozen=True, kw_only=True):
    """The request `id` was carried out."""

    id: int
    value: Any = None


class Refusal(Answer, frozen=True, kw_only=True):
    """The request `id` was not carried out: a StudioError's words."""

    id: int
    title: str
    text: str
    fix: str = ""


class Heard(Answer, frozen=True, kw_only=True):
    """Events of a watched folder, and the byte offset behind them.

    `watch` is the id of the Watch that asked for them. `ended` says that the log ends here and
    no engine is at work on it any more.
    """

    folder: str
    events: list[AnyEvent]
    offset: int
    watch: int
    ended: bool = False


class MachineNow(Answer, frozen=True, kw_only=True):
    """The machine, measured just now."""

    machine: Machine


class JobsNow(Answer, frozen=True, kw_only=True):
    """All living jobs, whenever the list changes."""

    rows: list[JobRow]


class QueueNow(Answer, frozen=True, kw_only=True):
    """The queue, at the beginning and whenever it changes."""

    queue: Queue


AnyAnswer = Done | Refusal | Heard | MachineNow | JobsNow | QueueNow
AnyPush = Heard | MachineNow | JobsNow | QueueNow

ask_decoder = msgspec.json.Decoder(AnyAsk)
answer_decoder = msgspec.json.Decoder(AnyAnswer)
encode = msgspec.json.Encoder().encode
