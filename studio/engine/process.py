"""What an engine does to its own process before torch loads."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO

ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DISABLE_TELEMETRY": "1",
    "ACCELERATE_DISABLE_RICH": "1",
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
}


def settle(log: Path) -> BinaryIO:
    """Keep standard input for ourselves, send all that libraries print to `log`.

    Returns the pipe that was standard input. Must run before anything heavy is imported:
    libraries print while they are imported, and keep the descriptors they find.
    """
    os.environ.update(ENVIRONMENT)
    pipe = _claim_input()
    print_to(log)
    return pipe


def leave_with(pipe: BinaryIO) -> None:
    """End this process as soon as whoever holds the other end of `pipe` is gone."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while pipe.read(1):
                pass
        os._exit(0)

    threading.Thread(target=watch, name="client-watch", daemon=True).start()


def _claim_input() -> BinaryIO:
    kept = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return os.fdopen(kept, "rb", buffering=0)


def print_to(log: Path) -> None:
    """Send all that this process prints from now on to `log`, also what libraries print that kept
    the descriptors they found."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    faulthandler.enable(file=sys.stderr)
