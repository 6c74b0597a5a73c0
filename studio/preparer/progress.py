"""Telling how far something is, and hearing that nobody wants it any more."""

from __future__ import annotations

import time
from collections.abc import Callable

Tell = Callable[[str, float | None], None]


def silent(text: str, share: float | None) -> None:
    """For callers that want no progress."""


class Throttled:
    """Passes progress on, at most every `seconds`; a new text passes at once."""

    def __init__(self, tell: Tell, seconds: float = 0.2) -> None:
        self._tell = tell
        self._seconds = seconds
        self._last = ("", 0.0)

    def __call__(self, text: str, share: float | None = None) -> None:
        now = time.monotonic()
        if text != self._last[0] or now - self._last[1] >= self._seconds:
            self._last = (text, now)
            self._tell(text, share)
