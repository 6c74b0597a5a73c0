"""Engine jobs run inside the test's own process, on a thread where a conversation is held."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from studio.core.commands import AnyCommand, AnyJob, Chat, Leave
from studio.core.events import AnyEvent, Finished, Ready
from studio.engine import chat
from studio.engine.channel import Channel
from studio.engine.job import Context
from studio.library import jobs
from studio.library.folders import Home, JobFolder

PATIENCE_SECONDS = 60


def context_of(home: Home, job: AnyJob) -> Context:
    """A job folder for this job, and the engine's side of it."""
    folder = jobs.create(home, job)
    return Context(home=home, folder=JobFolder(folder), job=job, channel=Channel(folder))


def events_of(context: Context) -> list[AnyEvent]:
    """All that was said so far."""
    return jobs.read_events(context.folder.path)[0]


class Held:
    """A conversation in progress, seen from the client's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[AnyEvent] = []
        self.alive: Callable[[], bool] = lambda: True
        self._offset = 0

    def tell(self, *commands: AnyCommand) -> None:
        for command in commands:
            jobs.tell(self.folder, command)

    def until(self, wanted: Callable[[AnyEvent], bool], count: int = 1) -> list[AnyEvent]:
        """Wait until `count` new events are as wanted; all events since the last call."""
        found: list[AnyEvent] = []
        end = time.monotonic() + PATIENCE_SECONDS
        while sum(map(wanted, found)) < count:
            assert time.monotonic() < end, f"nothing came; only {found}"
            assert self.alive(), f"the conversation ended; it said {found}"
            events, self._offset = jobs.read_events(self.folder, self._offset)
            found += events
            time.sleep(0.002)
        self.seen += found
        return found


@contextlib.contextmanager
def holding(home: Home, job: Chat) -> Iterator[Held]:
    """A conversation that is ready, and left at the end."""
    context = context_of(home, job)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            chat.run(context)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="conversation")
    thread.start()
    held = Held(context.folder.path)
    held.alive = thread.is_alive
    try:
        held.until(lambda event: isinstance(event, Ready))
        yield held
    finally:
        held.tell(Leave())
        thread.join(PATIENCE_SECONDS)
        if errors:
            raise errors[0]
    assert not thread.is_alive()
    assert isinstance(events_of(context)[-1], Finished)
