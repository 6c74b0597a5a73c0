"""Finding and killing all that an engine started, however far it ran away."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_LOOK_SECONDS = 0.01
MARK = "FINETUNE_STUDIO_JOB"


def sweep(folder: Path, seconds: float = 3.0) -> int:
    """Kill every process that carries the folder's mark; the number of those left.

    The mark is an environment variable, which children inherit: it also finds those that left
    the engine's session and those of an engine that an earlier keeper launched.
    """
    until = time.monotonic() + seconds
    while found := list(_marked(folder)):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() >= until:
            return len(found)
        time.sleep(_LOOK_SECONDS)  # a killed process may not be waited for by its new parent
    return 0


def signal_group(process: int, *, kill: bool) -> None:
    """Terminate or kill an engine, which leads a process group of its own on POSIX."""
    with contextlib.suppress(OSError, psutil.Error):
        if os.name == "posix":
            os.killpg(process, signal.SIGKILL if kill else signal.SIGTERM)
        elif kill:
            psutil.Process(process).kill()
        else:
            psutil.Process(process).terminate()


def _marked(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK) == str(folder):
                yield process
