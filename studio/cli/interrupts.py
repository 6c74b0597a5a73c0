"""Ctrl-C as an order to the job that is followed: the first press asks, the second insists."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from studio.core.commands import AnyCommand, Cancel, Stop
from studio.core.errors import StudioError

INTERRUPTED = 130


class Interrupted(StudioError):
    """The user pressed Ctrl-C."""

    def __init__(self, text: str = "It was interrupted.", fix: str = "") -> None:
        super().__init__("Interrupted", text, fix)


class Presses:
    """Counts Ctrl-C (and termination), and turns each press into one command."""

    def __init__(self, first: type[Stop] | type[Cancel], say: Any) -> None:
        self.count = 0
        self._told = 0
        self._first = first
        self._say = say

    def pressed(self) -> bool:
        """Whether there was any press; for what asks whether to give up."""
        return self.count > 0

    def order(self) -> AnyCommand | None:
        """The next command that the presses ask for."""
        if self._told >= min(self.count, 2):
            return None
        self._told += 1
        gentle = self._told == 1 and self._first is Stop
        self._say(
            "Stopping; what was learnt is kept. Ctrl-C again cancels." if gentle else "Cancelling."
        )
        return Stop() if gentle else Cancel()

    def press(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        self.count += 1


@contextlib.contextmanager
def watched(first: type[Stop] | type[Cancel], say: Any) -> Iterator[Presses]:
    """Within the block Ctrl-C is counted instead of raised."""
    presses = Presses(first, say)
    if threading.current_thread() is not threading.main_thread():
        yield presses
        return
    signals = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(number, presses.press) for number in signals]
    try:
        yield presses
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
