"""Whether a run's next step is overdue, from the events of those before."""

from __future__ import annotations

from collections import deque
from statistics import median

from studio.core import events as ev

LEAST_SECONDS = 180.0
TIMES = 20.0
FIRST_LOOK = 3
# A clock that jumps further between two looks was asleep with its machine.
_ASLEEP_SECONDS = 30.0
_KEPT = 50


class StallGuard:
    """Hears what an engine says and notices when nothing follows a step for far too long.

    `now` is in seconds of a clock that never goes back.
    """

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_KEPT)
        self._trained_seconds: float | None = None
        self._since: float | None = None
        self._looked_at: float | None = None
        self.stalled = False

    def hear(self, event: ev.AnyEvent, now: float) -> None:
        """An event, just read. What now lasts is a step, or (None) something else."""
        match event:
            case ev.Note():
                return
            case ev.Step():
                self._time(event.seconds)
                self._since = now
            case ev.Saved() | ev.Rescued() | ev.RolledBack():
                self._since = now
            case _:
                self._since = None
        self.stalled = False

    def look(self, now: float) -> bool:
        """True once, when the next step is overdue."""
        slept = self._looked_at is not None and now - self._looked_at > _ASLEEP_SECONDS
        self._looked_at = now
        if slept and self._since is not None and not self.stalled:
            self._since = now
        if self.stalled or self._since is None or len(self._seconds) < FIRST_LOOK:
            return False
        self.stalled = now - self._since > max(LEAST_SECONDS, TIMES * median(self._seconds))
        return self.stalled

    def words(self, now: float) -> str:
        """How long nothing has come, for a list of jobs."""
        since = now if self._since is None else self._since
        return f"No step for {(now - since) / 60:.0f} min"

    def text(self, now: float) -> str:
        """The same for a run's log, with what to do."""
        usual = median(self._seconds) if self._seconds else 0.0
        return (
            f"{self.words(now)}, though one usually takes {usual:.2g} s. The machine may be busy "
            "or out of memory, or a driver hangs. If nothing moves, cancel the run and resume it: "
            "it goes on from its last checkpoint."
        )

    def _time(self, trained_seconds: float) -> None:
        before, self._trained_seconds = self._trained_seconds, trained_seconds
        if before is not None and trained_seconds > before:
            self._seconds.append(trained_seconds - before)
