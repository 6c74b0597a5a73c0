"""Starting an engine's process."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import studio
from studio.core.errors import StudioError
from studio.keeper import sweep

COMMAND = "FINETUNE_STUDIO_ENGINE"
KERNEL_CACHES = {
    # https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "96",
    "LRU_CACHE_CAPACITY": "1",
}
"""How many kernels the libraries keep, unless the user's own environment says otherwise.

Each is some 0.3 to 0.6 MB, made for one shape of tensors in about half a millisecond. They would
keep a thousand, which rows of ever new lengths fill; a backward pass goes through some fifteen of
a layer's products and three for each 128 tokens of its longest rows. torch's own cache before
oneDNN's saves nothing: what isn't there is found behind it in 2 microseconds, and what is holds on
to kernels that the other let go of (measured: 100 MB)."""
_ENVIRONMENT = {"PYTHONUTF8": "1", "PYTHONFAULTHANDLER": "1"}


def start(
    words: list[str],
    mark: str,
    output: IO[bytes] | int,
    *,
    listens: bool,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """An engine with these arguments, which leads a session of its own and carries the mark.

    It `listens` where its standard input is a pipe from here; `environment` is what it finds
    besides the keeper's own. Raises StudioError where the system
    won't start it.
    """
    try:
        return subprocess.Popen(
            [*_command(), *words],
            stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=Path(studio.__file__).parent.parent,
            env={
                **KERNEL_CACHES,
                **os.environ,
                **_ENVIRONMENT,
                **(environment or {}),
                sweep.MARK: mark,
            },
            start_new_session=True,
            creationflags=_windows_flags(),
        )
    except OSError as error:
        raise StudioError(
            "The engine can't be started",
            f"The system refused: {error.strerror or error}.",
            "Check the installation with “finetune-studio doctor”.",
        ) from error


def exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether it exited; where the system allows, without reaping it yet."""
    if sys.platform != "linux" or process.returncode is not None:
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return process.poll() is not None


def _command() -> list[str]:
    if named := os.environ.get(COMMAND):
        return shlex.split(named, posix=os.name == "posix")
    return [sys.executable, "-m", "studio", "engine"]


def _windows_flags() -> int:
    if sys.platform != "win32":
        return 0
    return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
