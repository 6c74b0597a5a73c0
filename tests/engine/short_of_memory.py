"""An engine whose system refuses memory from its first step on: `HOME FOLDER MEBIBYTES`.

MEBIBYTES is what may be taken beyond what the process holds when the model is ready. A limit on
the address space is the system's own; nothing of torch or the studio is replaced.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil
import torch

from studio.core import events
from studio.engine import failures, train
from studio.engine.channel import Channel
from studio.engine.job import Context
from studio.library import jobs
from studio.library.folders import Home, JobFolder


class Limiting(Channel):
    """Sets the limit when the engine says what it decided."""

    room = 0

    def emit(self, event: events.AnyEvent) -> None:
        super().emit(event)
        if isinstance(event, events.Started) and event.decided:
            limit = psutil.Process().memory_info().vms + self.room
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    home, folder = Home(Path(sys.argv[1])), Path(sys.argv[2])
    torch.set_num_threads(1)
    channel = Limiting(folder)
    channel.room = int(sys.argv[3]) << 20
    job = jobs.job_of(folder)
    try:
        train.run(Context(home=home, folder=JobFolder(folder), job=job, channel=channel))
    except Exception as error:
        channel.emit(failures.to_event(error))
        raise


if __name__ == "__main__":
    main()
