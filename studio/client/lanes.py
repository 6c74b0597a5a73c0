"""A process of the preparer, asked one question at a time, and ended when it hangs."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import studio
from studio.client.cancelled import Cancelled, Fault
from studio.core import preparing as wire
from studio.core.errors import StudioError
from studio.library.folders import Home

_PATIENCE_SECONDS = 0.8
"""For a question to end that nobody wants any more, before its process is ended."""
_POLL_SECONDS = 0.05
_LOG_BYTES = 1 << 20
Progress = Callable[[str, float | None], None]
Asked = Callable[[], bool]
_OF_THE_HUB = (wire.HubSearch, wire.Download, wire.FetchDataset)


class Lane:
    """One warm process, started with the first question; another after one that was ended."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._last_id = 0
        self._closed = False

    def ask(
        self,
        kind: type[wire.Ask],
        on_progress: Progress | None,
        cancelled: Asked | None,
        silence: float,
        arguments: dict[str, Any],
    ) -> msgspec.Raw:
        """The answer to a request of this kind; raises StudioError or Cancelled."""
        self._take_turn(cancelled or (lambda: False))
        try:
            self._last_id += 1
            process = self._started()
            process.send(kind(id=self._last_id, **arguments))
            try:
                question = _Question(self._last_id, on_progress, cancelled, silence)
                return question.answer(process)
            except _Lost as lost:
                self._process = None
                raise lost.error(self._closed, kind in _OF_THE_HUB) from None
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process; a question in work ends as cancelled."""
        self._closed = True
        if (process := self._process) is not None:
            process.end()

    def _take_turn(self, cancelled: Asked) -> None:
        while not (self._closed or cancelled()):
            if self._lock.acquire(timeout=_POLL_SECONDS):
                return
        raise Cancelled("Preparing")

    def _started(self) -> _Process:
        if self._process is None or not self._process.living:
            self._process = _Process(self._home)
        if self._closed:
            self._process.end()
        return self._process


class _Lost(Exception):
    """The process is gone or was ended, in the middle of a question."""

    def __init__(self, silent: float = 0.0, cancelled: bool = False) -> None:
        self._silent = silent
        self._cancelled = cancelled

    def error(self, closed: bool, hub: bool) -> StudioError:
        if closed or self._cancelled:
            return Cancelled("Preparing")
        if self._silent and hub:
            return StudioError(
                "The hub doesn't answer",
                f"Nothing came from the hub for {self._silent:.0f} seconds.",
                "Check the connection and try again; a download goes on where it stopped.",
            )
        if self._silent:
            return StudioError(
                "Preparing hangs",
                f"The preparer said nothing for {self._silent:.0f} seconds and was ended; a chat "
                "template that never comes to an end looks like this.",
                "Try again; if it happens again, choose another model or repair its template.",
            )
        return Fault(
            "The preparer crashed",
            "The process that reads datasets ended unexpectedly.",
            "Try again; logs/preparer.log in the studio's folder has its last words.",
        )


class _Question:
    """Waits for the answer to one request."""

    def __init__(
        self, number: int, progress: Progress | None, cancelled: Asked | None, silence: float
    ) -> None:
        self._id = number
        self._progress = progress
        self._cancelled = cancelled or (lambda: False)
        self._silence = silence

    def answer(self, process: _Process) -> msgspec.Raw:
        heard, given_up = time.monotonic(), 0.0
        while True:
            if not given_up and self._cancelled():
                given_up = time.monotonic()
                process.send(wire.Cancel(id=self._id))
            said = process.hear(_POLL_SECONDS)
            now = time.monotonic()
            if said is not None and said.id == self._id:
                heard = now
                if not isinstance(said, wire.Progress):
                    return _value(said)
                if self._progress is not None and not given_up:
                    self._progress(said.text, said.share)
            elif given_up and now - given_up > _PATIENCE_SECONDS:
                process.end()
                raise _Lost(cancelled=True)
            elif now - heard > self._silence:
                process.end()
                raise _Lost(silent=self._silence)


def _value(said: wire.AnyAnswer) -> msgspec.Raw:
    match said:
        case wire.Done():
            return said.value
        case wire.Refused():
            kind = Fault if said.fault else StudioError
            raise kind(said.title, said.text, said.fix, said.problems)
    raise Cancelled("Preparing")


class _Process:
    """The process, and a thread that reads its answers."""

    def __init__(self, home: Home) -> None:
        home.make()
        log = home.logs / "preparer.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            with contextlib.suppress(OSError):  # another process of the studio may hold it
                log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "studio", "preparer", "--home", str(home.root.absolute())]
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=Path(studio.__file__).parent.parent,
                creationflags=_windows_flags(),
            )
        self._answers: queue.SimpleQueue[wire.AnyAnswer | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="preparer answers", daemon=True)
        self._reader.start()

    @property
    def living(self) -> bool:
        return self._child.poll() is None

    def send(self, message: msgspec.Struct) -> None:
        """A request; to a process that is gone it goes nowhere, and `hear` says so."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._child.stdin.write(wire.encode(message) + b"\n")
            self._child.stdin.flush()

    def hear(self, seconds: float) -> wire.AnyAnswer | None:
        """The next answer, nothing within this time; _Lost when the process is gone."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        if answer is None:
            self.end()
            raise _Lost
        return answer

    def end(self) -> None:
        """Kill it and wait; it holds nothing that could be half-written under its final name."""
        self._child.kill()
        self._child.wait()
        self._reader.join()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            with contextlib.suppress(msgspec.MsgspecError):
                self._answers.put(wire.answer_decoder.decode(line))
        self._answers.put(None)


def _windows_flags() -> int:
    if sys.platform != "win32":
        return 0
    return subprocess.CREATE_NO_WINDOW
