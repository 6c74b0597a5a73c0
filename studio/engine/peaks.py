"""The most memory that each phase of a job held: the card's, or this process's without one."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Protocol

import psutil
import torch

from studio.engine import memory

_SAMPLE_SECONDS = 0.002
_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peaks(Protocol):
    """`begin` ends the phase before; bytes above what the engine held when it was idle.

    `held` is what the allocator took from the system, by phase; `allocated` what tensors held of
    it, where that is known as well.
    """

    idle: int
    held: dict[str, int]
    allocated: dict[str, int]

    def begin(self, phase: str) -> None:
        """From here on it is this phase."""

    def end(self) -> None:
        """Nothing is watched any more."""


def watch() -> Peaks:
    """Watch from here on; the engine is idle now. `end` has to be called."""
    return CardPeaks() if torch.cuda.is_available() else ProcessPeaks()


def idle() -> int:
    """What this process holds before there is a model: 0 on a card."""
    return 0 if torch.cuda.is_available() else resident()


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return int(psutil.Process().memory_info().rss)


class CardPeaks:
    """Of PyTorch's allocator; the context isn't the allocator's."""

    def __init__(self) -> None:
        self.idle = 0
        self.held: dict[str, int] = {}
        self.allocated: dict[str, int] = {}
        self._phase = ""
        memory.forget_peak()

    def begin(self, phase: str) -> None:
        self._take()
        self._phase = phase
        torch.cuda.reset_peak_memory_stats()

    def end(self) -> None:
        self._take()
        self._phase = ""

    def _take(self) -> None:
        if self._phase:
            _raise(self.held, self._phase, torch.cuda.max_memory_reserved())
            _raise(self.allocated, self._phase, torch.cuda.max_memory_allocated())


class ProcessPeaks:
    """Resident memory above the idle engine's. Linux forgets and tells its own highest mark;
    elsewhere it is looked at every two milliseconds."""

    def __init__(self) -> None:
        memory.free()
        self.idle = resident()
        self.held: dict[str, int] = {}
        self.allocated: dict[str, int] = {}
        self._phase = ""
        self._most = 0
        self._ended = threading.Event()
        self._marked = _forget()
        self._thread = threading.Thread(target=self._look, daemon=True)
        if not self._marked:
            self._thread.start()

    def begin(self, phase: str) -> None:
        self._take()
        self._phase = phase

    def end(self) -> None:
        self._take()
        self._phase = ""
        self._ended.set()
        if not self._marked:
            self._thread.join()

    def _take(self) -> None:
        most = max(resident(), _highest() if self._marked else self._most)
        if self._phase:
            _raise(self.held, self._phase, max(0, most - self.idle))
        self._most = 0
        if self._marked:
            _forget()

    def _look(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._most = max(self._most, resident())


def _raise(most: dict[str, int], phase: str, count: int) -> None:
    most[phase] = max(most.get(phase, 0), count)


def _forget() -> bool:
    """Let the kernel begin a new highest mark (proc(5), clear_refs); False where it can't."""
    if sys.platform != "linux":
        return False
    try:
        _FORGET.write_text("5", "ascii")
    except OSError:
        return False
    return _highest() > 0


def _highest() -> int:
    for line in _STATUS.read_text("utf-8", "replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
