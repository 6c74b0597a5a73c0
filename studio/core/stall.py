"""Whether a run's next step is overdue, from the times of those before."""

from __future__ import annotations

from collections import deque
from statistics import median

LEAST_SECONDS = 180.0
TIMES = 20.0
FIRST_LOOK = 3
# A clock that jumps further between two looks was asleep with its machine.
_ASLEEP_SECONDS = 30.0
_KEPT = 50


class StallGuard:
    """Hears what an engine says and notices when nothing follows a step for far too long.

    All times are in seconds of one clock; `scale` multiplies the least time.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._least = LEAST_SECONDS * scale
        self._seconds: deque[float] = deque(maxlen=_KEPT)
        self._step_at: float | None = None
        self._since: float | None = None
        self._looked_at: float | None = None
        self.stalled = False

    def hear_step(self, now: float) -> None:
        """A step is done."""
        if self._step_at is not None and not self.stalled:
            self._seconds.append(now - self._step_at)
        self._step_at = self._since = now
        self.stalled = False

    def hear_begin(self, now: float) -> None:
        """A step begins, after something else."""
        self._step_at, self._since = None, now
        self.stalled = False

    def hear_other(self) -> None:
        """Something else begins: what now lasts is no step."""
        self._step_at = self._since = None
        self.stalled = False

    def look(self, now: float) -> bool:
        """True once, when the next step is overdue."""
        slept = self._looked_at is not None and now - self._looked_at > _ASLEEP_SECONDS
        self._looked_at = now
        if slept and self._since is not None:
            self._step_at, self._since = None, now
        if self.stalled or self._since is None or len(self._seconds) < FIRST_LOOK:
            return False
        self.stalled = now - self._since > max(self._least, TIMES * median(self._seconds))
        return self.stalled

    def waited(self, now: float) -> float:
        """Seconds since the last step."""
        return 0.0 if self._since is None else now - self._since
