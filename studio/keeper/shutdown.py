"""Ending an engine: ask, terminate, kill, each with its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.core import commands

Rung = Literal["ask", "terminate", "kill"]

WORKING, CANCELLED, LEAVING, TERMINATED = 600.0, 10.0, 4.0, 5.0


@dataclass
class Ladder:
    """How far the ending of one engine has come. Times are seconds of a monotonic clock.

    An engine that has work to keep (`stop`, `pause`) may take its time as long as it says
    something; one that has nothing to keep is only given `patience`. `scale` multiplies every
    time.
    """

    request: str
    patience: float
    began: float
    while_silent: bool = False
    scale: float = 1.0
    rung: Rung = "ask"
    _since: float = 0.0

    def climb(self, now: float, last_heard: float) -> Rung | None:
        """The rung that is due now; None while there is still time on the present one."""
        if self.rung == "ask":
            since = max(self.began, last_heard) if self.while_silent else self.began
            due: Rung | None = "terminate" if now - since >= self.patience * self.scale else None
        else:
            due = "kill" if now - self._since >= TERMINATED * self.scale else None
        if due:
            self.rung, self._since = due, now
        return due


def ladder_for(
    command: commands.AnyCommand, kind: str, now: float, scale: float = 1.0
) -> Ladder | None:
    """How a command that asks for the end is seen through; None for all the others."""
    match command:
        case commands.Stop():
            return Ladder("stop", WORKING, now, while_silent=True, scale=scale)
        case commands.Pause():
            return Ladder("pause", WORKING, now, while_silent=True, scale=scale)
        case commands.Cancel() if kind != "chat":
            return Ladder("cancel", CANCELLED, now, scale=scale)
        case commands.Leave():
            return Ladder("leave", LEAVING, now, scale=scale)
    return None


def abandoned(now: float, scale: float = 1.0) -> Ladder:
    """For what dies with its client: its standard input has ended."""
    return Ladder("leave", LEAVING, now, scale=scale)
