"""Whether a driver moves a full card's memory into the system's, from readings and step times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median

FULL = 0.97
TIMES = 2.0
IN_A_ROW = 3
FIRST_LOOK = 5
_KEPT = 50

TEXT = (
    "The card's memory is full and steps have become {times:.1f} times slower: the Windows driver "
    "seems to move the card's memory into the system's. Lower the batch size or the maximum "
    "length, close other programs, or set “CUDA - Sysmem Fallback Policy” in the NVIDIA Control "
    "Panel to “Prefer No Sysmem Fallback”."
)


class SpillGuard:
    """Says once when the card is full and steps have jumped in time.

    Time is in seconds a token, so that long rows are not taken for it.
    """

    def __init__(self) -> None:
        self._usual: deque[float] = deque(maxlen=_KEPT)
        self._slow: list[float] = []
        self._said = False

    def hear(self, seconds_per_token: float, used_share: Callable[[], float | None]) -> str | None:
        """A sentence where memory spills. `used_share` gives how much of the card's own memory is
        in use (1 is full, None unknown); it is asked only when steps are slow."""
        if self._said or not self._slower(seconds_per_token) or len(self._slow) < IN_A_ROW:
            return None
        share = used_share()
        if share is None or share < FULL:
            return None
        self._said = True
        return TEXT.format(times=median(self._slow) / median(self._usual))

    def _slower(self, seconds: float) -> bool:
        """Whether this step is slow; one that isn't ends the row and counts as usual."""
        if len(self._usual) >= FIRST_LOOK and seconds >= TIMES * median(self._usual):
            self._slow.append(seconds)
            return True
        self._slow.clear()
        self._usual.append(seconds)
        return False
