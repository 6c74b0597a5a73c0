"""Which processes of this machine are engines of ours."""

from __future__ import annotations

import psutil

from studio.keeper.sweep import MARK


class Ours:
    """Asks a process once: engines, and all that they start, carry a mark in their environment."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], bool] = {}

    def has(self, pid: int) -> bool:
        """Whether it is one; False where it is gone or can't be asked."""
        try:
            process = psutil.Process(pid)
            key = pid, process.create_time()
            if key not in self._known:
                self._known[key] = MARK in process.environ()
            return self._known[key]
        except (psutil.Error, OSError):
            return False
