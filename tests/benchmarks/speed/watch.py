"""The most memory that a process ever held, as its system counts it."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import psutil

LOOK_SECONDS = 0.5


class Peak(threading.Thread):
    """Looks at a process and all below it until it is gone; `bytes` is the largest resident
    memory of any one of them."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="peak", daemon=True)
        self.bytes = 0
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            with contextlib.suppress(psutil.Error):
                for process in (self._process, *self._process.children(recursive=True)):
                    self.bytes = max(self.bytes, _most(process))

    def stop(self) -> int:
        """The peak in bytes."""
        self._over.set()
        self.join()
        return self.bytes


def _most(process: psutil.Process) -> int:
    """The system's own high-water mark where it keeps one, so that no peak falls between looks."""
    with contextlib.suppress(OSError, psutil.Error, StopIteration):
        status = Path(f"/proc/{process.pid}/status").read_text("ascii", "replace")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10
    with contextlib.suppress(psutil.Error):
        memory = process.memory_info()
        return int(getattr(memory, "peak_wset", memory.rss))
    return 0
