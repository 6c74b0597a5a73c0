"""The end that the user asked for."""

from __future__ import annotations

from studio.core.errors import StudioError


class Cancelled(StudioError):
    """The user gave it up: the command line's exit status 130."""

    def __init__(self, what: str = "It") -> None:
        super().__init__("Cancelled", f"{what} was cancelled; nothing of it was kept.")


class Fault(StudioError):
    """A StudioError that is the studio's own fault: the command line's exit status 3."""
