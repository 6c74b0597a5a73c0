"""What works for a job, however it came about."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

JOB = "FINETUNE_STUDIO_JOB"


def processes_of(folder: Path) -> list[psutil.Process]:
    """Engine and workers of a job: all carry its folder in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(JOB) == str(folder):
                found.append(process)
    return found


def end_all(home: Path) -> None:
    """Kill what still works for any job of a home, after a test that failed on its way."""
    folders = [*(home / "runs").iterdir(), *(home / "jobs").iterdir()]
    left = [process for folder in folders for process in processes_of(folder)]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, 10)
