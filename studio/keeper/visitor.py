"""One client's connection: a thread that reads its requests, one that writes to it."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from studio.core import wire
from studio.core.facts import Machine
from studio.core.queue import Queue
from studio.core.wire import AnyAnswer, AnyAsk, Heard, JobRow, JobsNow, MachineNow, QueueNow
from studio.keeper.engines import Engines
from studio.keeper.watch import Cursor
from studio.library import rendezvous

_log = logging.getLogger(__name__)

FOLLOW_SECONDS, FOLLOW_SLOWLY_SECONDS = 0.02, 0.12
"""Between two looks at a log: right after news, and when none has come for a while. Each look
takes a core from a training that uses them all."""
IDLE_SECONDS = 0.25
PROOF_SECONDS = 5.0
STUCK_SECONDS = 10.0
PENDING_ANSWERS = 64


class _Watched:
    """One folder that a client watches; `name` is the client's spelling of it."""

    def __init__(self, id: int, name: str, cursor: Cursor) -> None:
        self.id = id
        self.name = name
        self.cursor = cursor
        self.greeted = False
        self.said_end = False

    def due(self, engines: Engines) -> Heard | None:
        """What to tell next; None where nothing is new."""
        alive = engines.known(self.cursor.folder)
        found = self.cursor.more()
        ended = False
        if not (found or self.said_end) and (end := engines.unwritten(self.cursor.folder)):
            found, ended = [end], True
        elif found or not (self.greeted and (self.said_end or alive)):
            ended = not alive and self.cursor.at_end() and self.cursor.behind_end()
        if not found and self.greeted and (self.said_end or not ended):
            return None
        self.greeted, self.said_end = True, ended
        return Heard(
            folder=self.name,
            events=found,
            offset=self.cursor.offset,
            watch=self.id,
            ended=ended,
        )


class Visitor:
    """Nothing piles up without bound for a slow client: events wait in their log, of machine, jobs
    and queue only the latest is kept, and with too many answers unread no request is read."""

    def __init__(
        self,
        connection: Connection,
        answer: Callable[[Visitor, AnyAsk], AnyAnswer],
        engines: Engines,
        scale: float = 1.0,
    ) -> None:
        self.name = "?"
        self._stuck = STUCK_SECONDS * scale
        self.wants_machine = False
        self.gone = threading.Event()
        self._connection = connection
        self._answer = answer
        self._engines = engines
        self._answers: queue.Queue[AnyAnswer] = queue.Queue(PENDING_ANSWERS)
        self._watched: dict[str, _Watched] = {}
        self._machine: Machine | None = None
        self._jobs: list[JobRow] | None = None
        self._queue: Queue | None = None
        self._wake = threading.Event()
        self._sending_since = 0.0

    def begin(self, key: bytes) -> None:
        threading.Thread(target=self._read, args=(key,), name="visitor", daemon=True).start()

    def watch(self, ask: wire.Watch, folder: Path) -> None:
        """Replaces an earlier watch of the same folder."""
        self._watched[ask.folder] = _Watched(ask.id, ask.folder, Cursor(folder, ask.offset))

    def unwatch(self, name: str) -> None:
        self._watched.pop(name, None)

    def push_machine(self, machine: Machine) -> None:
        if self.wants_machine:
            self._machine = machine
            self._wake.set()

    def push_jobs(self, rows: list[JobRow]) -> None:
        self._jobs = rows
        self._wake.set()

    def push_queue(self, queue: Queue) -> None:
        self._queue = queue
        self._wake.set()

    def check(self, now: float) -> None:
        """Drop a client that has stopped reading; it may come back and watch from its offset."""
        since = self._sending_since
        if since and now - since > self._stuck and not self.gone.is_set():
            _log.warning("client %s does not read what it asked for and is dropped", self.name)
            self.drop()

    def drop(self) -> None:
        """End the connection, also under a thread that is blocked on it."""
        self.gone.set()
        self._wake.set()
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._connection.close()
            else:
                with socket.socket(fileno=os.dup(self._connection.fileno())) as twin:
                    twin.shutdown(socket.SHUT_RDWR)

    def _read(self, key: bytes) -> None:
        try:
            if not rendezvous.prove(self._connection, key, keeper=True, seconds=PROOF_SECONDS):
                _log.warning("a client without the right key was refused")
                return
            threading.Thread(target=self._write, name="visitor-out", daemon=True).start()
            while not self.gone.is_set():
                ask = wire.ask_decoder.decode(self._connection.recv_bytes(wire.MAX_ASK_BYTES))
                self._answers.put(self._answer(self, ask), timeout=self._stuck)
                self._wake.set()
        except msgspec.MsgspecError as error:
            _log.warning("client %s talks rubbish and is dropped: %s", self.name, error)
        except (OSError, EOFError, queue.Full):
            pass
        finally:
            self.drop()

    def _write(self) -> None:
        try:
            pause = FOLLOW_SECONDS
            while not self.gone.is_set():
                if self._send_due():
                    pause = FOLLOW_SECONDS
                    continue
                self._wake.wait(pause if self._following() else IDLE_SECONDS)
                self._wake.clear()
                pause = min(1.25 * pause, FOLLOW_SLOWLY_SECONDS)
        except OSError:
            self.drop()

    def _send_due(self) -> bool:
        messages: list[AnyAnswer] = []
        while not self._answers.empty():
            messages.append(self._answers.get_nowait())
        if (rows := self._jobs) is not None:
            self._jobs = None
            messages.append(JobsNow(rows=rows))
        if waiting := self._queue:
            self._queue = None
            messages.append(QueueNow(queue=waiting))
        if machine := self._machine:
            self._machine = None
            messages.append(MachineNow(machine=machine))
        for message in messages:
            self._send(message)
        heard = [due for one in list(self._watched.values()) if (due := one.due(self._engines))]
        for message in heard:
            self._send(message)
        return bool(messages or heard)

    def _send(self, message: AnyAnswer) -> None:
        self._sending_since = time.monotonic()
        self._connection.send_bytes(wire.encode(message))
        self._sending_since = 0.0

    def _following(self) -> bool:
        return any(not one.said_end for one in list(self._watched.values()))
