"""What every job of an engine is given."""

from __future__ import annotations

from dataclasses import dataclass

from studio.core.commands import AnyJob
from studio.engine.channel import Channel
from studio.library.folders import Home, JobFolder


@dataclass(frozen=True)
class Context:
    """One job: where it lies, what is to be done, and the way to speak with the keeper."""

    home: Home
    folder: JobFolder
    job: AnyJob
    channel: Channel
