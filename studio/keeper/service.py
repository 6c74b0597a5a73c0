"""The keeper at work: one loop that sees to engines and clients, and leaves when all is quiet."""

from __future__ import annotations

import logging
import os
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

import studio
from studio.core import wire
from studio.core.commands import AnyCommand
from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.core.queue import Queue
from studio.core.wire import AnyAnswer, AnyAsk, Done, JobRow, Refusal
from studio.keeper.door import ListeningDoor
from studio.keeper.engines import Engines
from studio.keeper.guard import Guard
from studio.keeper.machine import Sampler
from studio.keeper.overseer import Overseer
from studio.keeper.prober import Prober
from studio.keeper.queue import QueueOverseer
from studio.keeper.system import System, here
from studio.keeper.visitor import Visitor
from studio.library.folders import Home

_log = logging.getLogger(__name__)

BUSY_SECONDS, QUIET_SECONDS = 0.1, 0.2
ROWS_SECONDS = 1.0
LOOK_AGAIN_SECONDS, LOOK_AGAIN_FOR_SECONDS = 2.0, 60.0


class Service:
    """`idle` is the time in seconds without a client or a job after which the keeper leaves;
    `scale` multiplies what slow engines and clients are given."""

    def __init__(
        self, home: Home, *, idle: float, scale: float, system: System | None = None
    ) -> None:
        self.home = home
        self.engines = Engines(home, scale)
        self.leaving = threading.Event()
        self._idle = idle
        self._scale = scale
        self._visitors: list[Visitor] = []
        self._rows: list[JobRow] = []
        self._rows_at = 0.0
        self._system = system or here()
        self._sampler = Sampler(home, self._system, self._push_machine)
        self._guard = Guard(home, self.engines, self._system, pace=scale)
        self._queue = QueueOverseer(
            home, self.engines, self._system, self._push_queue, self._holding
        )
        prober = Prober(home, self.engines)
        self._overseers: list[Overseer] = [self._guard, self._queue, prober]
        self._overseeing = threading.RLock()
        self._complaint = ""

    def run(self) -> None:
        """Serve until there is nothing left to run or watch."""
        self.engines.recover()
        door = ListeningDoor(self.home, self._welcome)
        self._sampler.begin()
        began = quiet_since = looked_at = time.monotonic()
        while not self.leaving.is_set():
            now = time.monotonic()
            if now - began < LOOK_AGAIN_FOR_SECONDS and now - looked_at > LOOK_AGAIN_SECONDS:
                looked_at = now
                self.engines.adopt_newly_found()
            if self._tick(now):
                quiet_since = now
            elif now - quiet_since > self._idle:
                break
            self.leaving.wait(BUSY_SECONDS if self._rows else QUIET_SECONDS)
        door.close()
        self._sampler.leave()
        self.engines.leave()
        with self._overseeing:
            for overseer in self._overseers:
                overseer.leave()

    def _tick(self, now: float) -> bool:
        """See to everything once; whether there is anything to run or watch."""
        self.engines.tick()
        for visitor in list(self._visitors):
            visitor.check(now)
            if visitor.gone.is_set():
                self._visitors.remove(visitor)
                self.engines.abandon(visitor)
        self._sampler.want(any(visitor.wants_machine for visitor in self._visitors))
        self._oversee(now)
        self._push_rows(now)
        busy = any(overseer.busy for overseer in self._overseers)
        self.engines.keep_warm(len(self._visitors) + busy)
        return bool(self._visitors or self._rows or busy)

    def _oversee(self, now: float) -> None:
        """An overseer that fails is logged; the engines and the other overseers go on."""
        with self._overseeing:
            for overseer in self._overseers:
                try:
                    overseer.tick(now)
                except Exception as error:
                    if repr(error) != self._complaint:
                        _log.exception("%s failed", type(overseer).__name__)
                    self._complaint = repr(error)

    def _holding(self) -> str:
        return next((each.holding for each in self._overseers if each.holding), "")

    def _welcome(self, connection: Connection, key: bytes) -> None:
        visitor = Visitor(connection, self._answer, self.engines, self._scale)
        self._visitors.append(visitor)
        visitor.begin(key)

    def _push_machine(self, machine: Machine) -> None:
        for visitor in list(self._visitors):
            visitor.push_machine(machine)

    def _push_queue(self, queue: Queue) -> None:
        for visitor in list(self._visitors):
            visitor.push_queue(queue)

    def _push_rows(self, now: float) -> None:
        rows = self.engines.rows()
        moved = [(r.folder, r.state) for r in rows] != [(r.folder, r.state) for r in self._rows]
        if moved or (rows != self._rows and now - self._rows_at > ROWS_SECONDS):
            self._rows, self._rows_at = rows, now
            for visitor in list(self._visitors):
                visitor.push_jobs(rows)

    def _answer(self, visitor: Visitor, ask: AnyAsk) -> AnyAnswer:
        try:
            return Done(id=ask.id, value=self._carry_out(visitor, ask))
        except StudioError as error:
            return Refusal(id=ask.id, title=error.title, text=error.text, fix=error.fix)
        except Exception as error:
            _log.exception("a request failed")
            return Refusal(
                id=ask.id,
                title="The keeper failed",
                text=f"It met an error of its own: {error!r}.",
                fix=f"Please report it; {self.home.logs / 'keeper.log'} says more.",
            )

    def _carry_out(self, visitor: Visitor, ask: AnyAsk) -> Any:
        match ask:
            case wire.Hello():
                visitor.name = ask.client
                visitor.push_jobs(self.engines.rows())
                visitor.push_queue(self._queue.now)
                welcome = wire.Welcome(
                    version=studio.__version__, pid=os.getpid(), home=str(self.home.root)
                )
                return msgspec.to_builtins(welcome)
            case wire.Start():
                self._start(ask, visitor)
            case wire.Tell():
                self._tell(self.engines.place(ask.folder), ask.command)
            case wire.Watch():
                visitor.watch(ask, self.engines.place(ask.folder))
            case wire.Unwatch():
                visitor.unwatch(ask.folder)
            case wire.Jobs():
                return msgspec.to_builtins(self.engines.rows())
            case wire.WatchMachine():
                visitor.wants_machine = ask.on
                return msgspec.to_builtins(self._sampler.now())
            case wire.QueueAdd() | wire.QueueRemove() | wire.QueueRun():
                with self._overseeing:
                    return msgspec.to_builtins(self._edit_queue(ask))
            case wire.Quit():
                self.leaving.set()
        return None

    def _start(self, ask: wire.Start, visitor: Visitor) -> None:
        folder = self.engines.place(ask.folder)
        with self._overseeing:
            self.engines.start(folder, ask.job, visitor)
            for overseer in self._overseers:
                overseer.started(folder)

    def _edit_queue(self, ask: wire.QueueAdd | wire.QueueRemove | wire.QueueRun) -> Queue:
        match ask:
            case wire.QueueAdd():
                return self._queue.add(self.engines.place(ask.folder), ask.at)
            case wire.QueueRemove():
                return self._queue.remove(Path(ask.folder).name)
            case wire.QueueRun():
                return self._queue.run(ask.on, ask.then)

    def _tell(self, folder: Path, command: AnyCommand) -> None:
        with self._overseeing:
            dealt_with = [overseer.told(folder, command) for overseer in self._overseers]
        if not any(dealt_with):
            self.engines.tell(folder, command)
