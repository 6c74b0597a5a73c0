"""A connection to the keeper: ask it, and listen to it."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from studio.client.connection import connect, is_running, reap_ending
from studio.client.versions import replaced
from studio.core import wire
from studio.core.commands import AnyCommand, AnyJob
from studio.core.errors import StudioError
from studio.core.events import AnyEvent
from studio.core.facts import Machine
from studio.core.queue import Queue, Then
from studio.core.wire import AnyAsk, AnyPush, Done, Heard, JobRow, Refusal, Welcome
from studio.library import jobs
from studio.library.folders import Home

Orders = Callable[[], AnyCommand | None]

ANSWER_SECONDS = 30.0
POLL_SECONDS = 0.1
RECONNECTS = 5


class KeeperLost(StudioError):
    """The connection broke; a new one may be made, and watching goes on from its offset."""


class Keeper:
    """For one thread at a time. Every method raises StudioError, KeeperLost among them."""

    def __init__(self, home: Home, connection: Connection, name: str = "") -> None:
        self.home = home
        self._connection = connection
        self._name = name
        self._ids = itertools.count(1)
        self._inbox: deque[AnyPush] = deque()
        self._watching: dict[str, int] = {}
        self._met = False
        self.welcome = msgspec.convert(self._ask(wire.Hello(client=name)), Welcome)

    @classmethod
    def connect(
        cls,
        home: Home,
        start: bool = True,
        name: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Keeper:
        """Find the home's keeper, or start it where there is none and `start` is true.

        An older studio's keeper makes way for ours.
        """
        for _ in range(RECONNECTS):
            with contextlib.suppress(KeeperLost):  # it was just leaving
                keeper = cls(home, connect(home, start=start, cancelled=cancelled), name)
                if keeper._is_ours():
                    return keeper
                start = True
        raise _lost()

    def start(self, folder: Path, job: AnyJob | None = None) -> None:
        """Launch an engine for a job folder."""
        self._ask(wire.Start(folder=str(folder), job=job))

    def tell(self, folder: Path, command: AnyCommand) -> None:
        """Pass a command to the living engine of a folder."""
        self._ask(wire.Tell(folder=str(folder), command=command))

    def watch(self, folder: Path, offset: int = 0) -> None:
        """Have `receive` return the folder's events from a byte offset of its log on.

        Replaces an earlier watch of the same folder.
        """
        self._watching[str(folder)] = number = next(self._ids)
        self._ask(wire.Watch(id=number, folder=str(folder), offset=offset))

    def unwatch(self, folder: Path) -> None:
        """No more events of this folder."""
        self._watching.pop(str(folder), None)
        self._ask(wire.Unwatch(folder=str(folder)))

    def watch_machine(self, on: bool) -> Machine:
        """Have `receive` return the machine about every second, or no longer; the machine now."""
        return msgspec.convert(self._ask(wire.WatchMachine(on=on)), Machine)

    def machine(self) -> Machine:
        """The machine now. Ends `watch_machine`."""
        return self.watch_machine(False)

    def jobs(self) -> list[JobRow]:
        """All living jobs."""
        return msgspec.convert(self._ask(wire.Jobs()), list[JobRow])

    def queue_add(self, folder: Path, at: int | None = None) -> Queue:
        """Put a run into the queue, or elsewhere in it; `at` counts from 0, None is the end."""
        return self._queue(wire.QueueAdd(folder=str(folder), at=at))

    def queue_remove(self, folder: Path) -> Queue:
        """Take a run out of the queue; the run stays as it is."""
        return self._queue(wire.QueueRemove(folder=str(folder)))

    def queue_run(self, on: bool, then: Then | None = None) -> Queue:
        """Start what waits, one after the other, or let nothing more start.

        `then` is what happens after the last one; None leaves that as it is.
        """
        return self._queue(wire.QueueRun(on=on, then=then))

    def receive(self, timeout: float) -> list[AnyPush]:
        """What was pushed; waits at most that many seconds for the first of it."""
        if not self._inbox:
            self._take(timeout)
        with contextlib.suppress(KeeperLost):  # said by the next call, when all is handed over
            while self._inbox and self._connection.poll(0.0):
                self._take(0.0)
        pushed = list(self._inbox)
        self._inbox.clear()
        return pushed

    def follow(
        self, folder: Path, offset: int = 0, orders: Orders | None = None
    ) -> Iterator[AnyEvent]:
        """A job's events until its engine has ended, also across the death of the keeper: the
        next one adopts the engine, and is told again what the last one may not have passed on.

        `orders` is asked about ten times a second for a command to pass on. Pushes that belong to
        anything else are dropped.
        """
        self.watch(folder, offset)
        command: AnyCommand | None = None
        while True:
            try:
                pushed = self.receive(POLL_SECONDS)
                command = command or (orders() if orders else None)
                if command:
                    self._tell_if_living(folder, command)
                    command = None
            except KeeperLost:
                self.watch_again(folder, offset)
                continue
            for heard in pushed:
                if isinstance(heard, Heard) and heard.folder == str(folder):
                    offset = heard.offset
                    yield from heard.events
                    if heard.ended:
                        self.unwatch(folder)
                        return

    def quit(self) -> None:
        """Ask the keeper to leave. Trainings go on; what dies with its client ends."""
        try:
            self._ask(wire.Quit())
        except KeeperLost:
            return

    @property
    def connection(self) -> Connection:
        """For waiting on several things at once; not for reading."""
        return self._connection

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def watch_again(self, folder: Path, offset: int) -> None:
        """After KeeperLost: connect anew, and watch the folder from this offset on."""
        for attempt in range(RECONNECTS):
            try:
                self.connect_again()
                return self.watch(folder, offset)
            except KeeperLost:
                if attempt == RECONNECTS - 1:
                    raise

    def connect_again(self) -> None:
        """After KeeperLost: find the next keeper or start it; nothing is watched then."""
        again = Keeper.connect(self.home, name=self._name)
        self._connection.close()
        self._connection = again._connection
        self._inbox.clear()

    def _is_ours(self) -> bool:
        """Whether this keeper is of our version; one that is not is gone then, or refused."""
        try:
            self._met = not replaced(self)
        finally:
            if not self._met:
                self.close()
        return self._met

    def _queue(self, ask: AnyAsk) -> Queue:
        return msgspec.convert(self._ask(ask), Queue)

    def _tell_if_living(self, folder: Path, command: AnyCommand) -> None:
        """An order that comes when the job has just ended changes nothing."""
        try:
            self.tell(folder, command)
        except KeeperLost:
            raise
        except StudioError:
            if jobs.living(folder):
                raise

    def _ask(self, ask: AnyAsk) -> Any:
        ask = msgspec.structs.replace(ask, id=ask.id or next(self._ids))
        until = time.monotonic() + ANSWER_SECONDS
        try:
            self._connection.send_bytes(wire.encode(ask))
        except OSError as error:
            raise _lost() from error
        while (left := until - time.monotonic()) > 0:
            answer = self._take(left)
            if isinstance(answer, Refusal) and answer.id == ask.id:
                raise StudioError(answer.title, answer.text, answer.fix)
            if isinstance(answer, Done) and answer.id == ask.id:
                return answer.value
        raise StudioError(
            "The background process doesn't answer",
            f"The keeper did not answer within {ANSWER_SECONDS:.0f} seconds.",
            "Try again; a running training goes on meanwhile.",
        )

    def _take(self, timeout: float) -> wire.AnyAnswer | None:
        """The next message, which is also put in the inbox if it was pushed."""
        try:
            if not self._connection.poll(timeout):
                return None
            message: wire.AnyAnswer = wire.answer_decoder.decode(self._connection.recv_bytes())
        except (OSError, EOFError) as error:
            raise _lost() from error
        except msgspec.MsgspecError as error:
            if not self._met:  # another version has words that this one doesn't know
                return None
            raise _lost() from error
        if isinstance(message, Heard):
            if self._watching.get(message.folder) == message.watch:
                self._inbox.append(message)
        elif isinstance(message, wire.MachineNow | wire.JobsNow | wire.QueueNow):
            self._inbox.append(message)
        return message


def quit_keeper(home: Home, seconds: float = 10.0) -> None:
    """End the home's keeper and wait until it is gone; nothing happens where there is none."""
    until = time.monotonic() + seconds
    pids: set[int] = set()
    while is_running(home) and time.monotonic() < until:
        try:
            with Keeper(home, connect(home, start=False), "quit") as keeper:
                pids.add(keeper.welcome.pid)
                keeper.quit()
        except StudioError:
            continue
        finally:
            time.sleep(0.02)
    for pid in pids:
        reap_ending(pid, max(0.0, until - time.monotonic()))


def _lost() -> KeeperLost:
    return KeeperLost(
        "The background process is gone",
        "The connection to the keeper broke.",
        "Try again; a running training goes on meanwhile.",
    )
