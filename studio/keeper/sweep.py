"""Finding and killing all that an engine started, however far it ran away."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

_LOOK_SECONDS = 0.01
MARK = "FINETUNE_STUDIO_JOB"


def sweep(folder: Path, mark: str = "", seconds: float = 3.0) -> int:
    """Kill every process that carries the folder's mark, or `mark`, which an engine has that was
    a spare before; the number of those left.

    The mark is an environment variable, which children inherit: it also finds those that left
    the engine's session and those of an engine that an earlier keeper launched.
    """
    until = time.monotonic() + seconds
    while found := _carrying(str(folder), mark):
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


def mark_of(process: psutil.Process | None) -> str:
    """What it was marked with when it began; empty where it has no mark or can't be asked."""
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK, "") if process else ""
    return ""


def _carrying(*marks: str) -> list[psutil.Process]:
    return [process for mark, found in marked().items() if mark in marks for process in found]


def marked() -> dict[str, list[psutil.Process]]:
    """All living processes that carry a mark, by the folder that it names."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if folder := process.environ().get(MARK):
                found.setdefault(folder, []).append(process)
    return found


def engine_among(processes: list[psutil.Process], folder: Path) -> int | None:
    """The process that was launched as this folder's engine, also before it takes its lock."""
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            leads = os.name != "posix" or os.getsid(process.pid) == process.pid
            if leads and ["--folder", str(folder)] == process.cmdline()[-2:]:
                return process.pid
    return None
