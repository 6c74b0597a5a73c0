"""Says how far a job is, at most a few times a second, and hears when to stop."""

from __future__ import annotations

import time

from studio.core.commands import Cancel, Stop
from studio.engine.job import Context

STAGE_SECONDS = 0.2


class Unwanted(Exception):
    """The user wants none of it after all."""


class Teller:
    """The voice of a job that a person may call off at any moment."""

    def __init__(self, context: Context) -> None:
        self._channel = context.channel
        self._told, self._text = 0.0, ""

    def say(self, text: str, share: float) -> None:
        """Raises Unwanted when the user cancelled."""
        if any(isinstance(command, Cancel | Stop) for command in self._channel.commands()):
            raise Unwanted
        now = time.monotonic()
        if text != self._text or now - self._told >= STAGE_SECONDS:
            self._channel.stage(text, share)
            self._told, self._text = now, text

    def note(self, text: str) -> None:
        """A warning in the job's log."""
        self._channel.note(text, "warning")
