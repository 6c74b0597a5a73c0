"""The thread through which the window asks the keeper and hears of everything."""

from __future__ import annotations

import multiprocessing.connection
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QThread, Signal

from studio.client.keeper import Keeper, KeeperLost
from studio.core.commands import AnyCommand, AnyJob
from studio.core.errors import StudioError
from studio.core.queue import Then
from studio.core.wire import AnyPush, Heard, JobsNow, MachineNow, QueueNow
from studio.library.folders import Home

Done = Callable[[], None]
Failed = Callable[[StudioError], None]
Action = Callable[[Keeper], object]

_RETRY_SECONDS = 1.0


class Worker(QThread):
    """Methods and signals belong to the window's thread; `run` alone is the worker's own.

    Watching survives the keeper's death: it is taken up again where it stood. A folder has one
    watch; a second `watch` of it begins anew for everybody who listens.
    """

    heard = Signal(str, list)
    """A watched folder's events, in order and each once."""
    ended = Signal(str)
    """The watched folder's log ends here, and no engine is at work on it."""
    machine = Signal(object)
    jobs = Signal(list)
    queue = Signal(object)
    """core.queue.Queue, whenever it changes."""
    connected = Signal()
    lost = Signal(str)
    """The keeper is gone or can't be started: why. Connecting goes on by itself."""
    refused = Signal(object)
    """The StudioError of a request that named no `failed`."""

    _arrived = Signal(object, int)
    _answered = Signal(object)

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = home
        self._current: dict[str, int] = {}
        self._watches = 0
        self._asks: deque[_Ask] = deque()
        self._watching: dict[str, _Watching] = {}
        self._leaving = threading.Event()
        self._woken = threading.Event()
        self._hear, self._knock = Pipe(duplex=False)
        self._arrived.connect(self._pass_on, Qt.ConnectionType.QueuedConnection)
        self._answered.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def start_job(
        self,
        folder: Path | str,
        job: AnyJob | None = None,
        done: Done | None = None,
        failed: Failed | None = None,
    ) -> None:
        """Have an engine launched for a job folder."""
        self._ask(lambda keeper: keeper.start(Path(folder), job), done, failed)

    def tell(
        self,
        folder: Path | str,
        command: AnyCommand,
        done: Done | None = None,
        failed: Failed | None = None,
    ) -> None:
        """Pass a command to the living engine of a folder."""
        self._ask(lambda keeper: keeper.tell(Path(folder), command), done, failed)

    def watch(self, folder: Path | str, offset: int = 0, failed: Failed | None = None) -> None:
        """Emit the folder's events from a byte offset of its log on."""
        name = str(folder)
        self._watches += 1
        self._current[name] = self._watches
        watching = _Watching(self._watches, offset)
        self._ask(lambda keeper: self._watch(keeper, name, watching), None, failed)

    def unwatch(self, folder: Path | str) -> None:
        """Nothing more of this folder is emitted, from now on."""
        name = str(folder)
        if self._current.pop(name, None) is not None:
            self._ask(lambda keeper: self._unwatch(keeper, name), None, None)

    def queue_add(
        self,
        folder: Path | str,
        at: int | None = None,
        done: Done | None = None,
        failed: Failed | None = None,
    ) -> None:
        """Put a run into the queue, or at another place in it."""
        self._ask(lambda keeper: keeper.queue_add(Path(folder), at), done, failed)

    def queue_remove(
        self, folder: Path | str, done: Done | None = None, failed: Failed | None = None
    ) -> None:
        """Take a run out of the queue."""
        self._ask(lambda keeper: keeper.queue_remove(Path(folder)), done, failed)

    def queue_run(
        self,
        on: bool,
        then: Then | None = None,
        done: Done | None = None,
        failed: Failed | None = None,
    ) -> None:
        """Let the queue start what waits, or nothing more; `then` None stays as it is."""
        self._ask(lambda keeper: keeper.queue_run(on, then), done, failed)

    def close(self) -> None:
        """Leave and wait for the thread; what trains goes on under the keeper."""
        self._leaving.set()
        self._wake()
        self.wait()
        self._current.clear()
        self._hear.close()
        self._knock.close()

    def run(self) -> None:
        """Serve one connection after the other until `close`."""
        while not self._leaving.is_set():
            try:
                with Keeper.connect(
                    self.home, name="window", cancelled=self._leaving.is_set
                ) as keeper:
                    self._serve(keeper)
            except StudioError as error:
                if not self._leaving.is_set():
                    self.lost.emit(error.text)
                    self._leaving.wait(_RETRY_SECONDS)

    def _serve(self, keeper: Keeper) -> None:
        self.machine.emit(keeper.watch_machine(True))
        for name, watching in list(self._watching.items()):
            try:
                keeper.watch(Path(name), watching.offset)
            except KeeperLost:
                raise
            except StudioError:  # deleted meanwhile
                del self._watching[name]
        self.connected.emit()
        while not self._leaving.is_set():
            self._woken.clear()
            self._carry_out_all(keeper)
            for pushed in keeper.receive(0.0):
                self._push(pushed)
            ready = multiprocessing.connection.wait([keeper.connection, self._hear])
            if self._hear in ready:
                self._hear.recv_bytes()
        self._carry_out_all(keeper)  # what was asked last, as to stop when the window closes

    def _carry_out_all(self, keeper: Keeper) -> None:
        while self._asks:
            self._carry_out(keeper, self._asks[0])
            self._asks.popleft()

    def _carry_out(self, keeper: Keeper, ask: _Ask) -> None:
        """An ask stays in the queue when the keeper is lost, for the next keeper."""
        try:
            ask.action(keeper)
        except KeeperLost:
            raise
        except StudioError as error:
            self._answered.emit(partial(ask.failed or self.refused.emit, error))
        else:
            if ask.done:
                self._answered.emit(ask.done)

    def _push(self, pushed: AnyPush) -> None:
        match pushed:
            case MachineNow():
                self.machine.emit(pushed.machine)
            case JobsNow():
                self.jobs.emit(pushed.rows)
            case QueueNow():
                self.queue.emit(pushed.queue)
            case Heard() if watching := self._watching.get(pushed.folder):
                watching.offset = pushed.offset
                self._arrived.emit(pushed, watching.number)

    def _watch(self, keeper: Keeper, name: str, watching: _Watching) -> None:
        keeper.watch(Path(name), watching.offset)
        self._watching[name] = watching

    def _unwatch(self, keeper: Keeper, name: str) -> None:
        self._watching.pop(name, None)
        keeper.unwatch(Path(name))

    def _ask(self, action: Action, done: Done | None, failed: Failed | None) -> None:
        self._asks.append(_Ask(action, done, failed))
        self._wake()

    def _wake(self) -> None:
        if not self._woken.is_set():
            self._woken.set()
            self._knock.send_bytes(b".")

    def _pass_on(self, heard: Heard, number: int) -> None:
        """In the window's thread: drop what an earlier watch had on its way."""
        if self._current.get(heard.folder) != number:
            return
        if heard.events:
            self.heard.emit(heard.folder, heard.events)
        if heard.ended:
            self.ended.emit(heard.folder)

    def _call(self, answer: Done) -> None:
        """In the window's thread: tell who asked."""
        answer()


@dataclass
class _Ask:
    action: Action
    done: Done | None
    failed: Failed | None


@dataclass
class _Watching:
    """A watch, and the byte offset behind what was heard of it."""

    number: int
    offset: int
