"""What decides about runs by itself, on the keeper's loop: the queue, the guard."""

from __future__ import annotations

from pathlib import Path

from studio.core.commands import AnyCommand


class Overseer:
    """The service calls one of these methods at a time, also when clients ask.

    `busy`: the keeper stays for it. `holding`: why no overseer should start a run by itself now,
    empty where nothing speaks against it.
    """

    busy = False
    holding = ""

    def tick(self, now: float) -> None:
        """Look at everything and act; `now` is a monotonic clock's, in seconds."""

    def started(self, folder: Path) -> None:
        """A client, not an overseer, has started the job of this folder."""

    def told(self, folder: Path, command: AnyCommand) -> bool:
        """A client tells a job something; True where that is dealt with and no engine need hear
        it. May raise StudioError, which refuses the command."""
        return False

    def leave(self) -> None:
        """The keeper ends; the engines go on."""
