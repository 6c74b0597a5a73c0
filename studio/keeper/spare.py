"""One engine kept warm: its imports are done and it waits for a job, so the next one starts at
once."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from studio.core.errors import StudioError
from studio.keeper import launching, sweep
from studio.library.folders import Home

_log = logging.getLogger(__name__)

SWITCH = "FINETUNE_STUDIO_SPARE"
CALM_SECONDS = 2.0
"""Commands that only ask something come and go within it, and the queue's next run starts."""
KEPT_SECONDS = 15 * 60.0
RETRY_SECONDS = 60.0
LOOK_SECONDS = 0.5
WARM_ABOVE_BYTES, DROP_BELOW_BYTES = 3 << 30, 1 << 30
"""Free memory of the machine. A spare holds about 0.4 GB and none of a card's."""
CORES_TO_SHARE = 4


class Spare:
    """At most one process. It dies with the keeper: its standard input ends then.

    Nobody pays for it: it is only made while somebody is there and the machine is calm, and given
    up when memory is short or nobody has needed it for long. For one thread at a time. `scale`
    multiplies the time until the machine counts as calm.
    """

    def __init__(self, home: Home, scale: float = 1.0) -> None:
        self._home = home
        self._calm = CALM_SECONDS * scale
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = ""
        self._seen = (0, 0)
        self._stirred_at = self._look_at = 0.0

    def tick(self, now: float, people: int, computing: int) -> None:
        """Make it or give it up, as `people` (who may want a job next) and the number of jobs
        that compute now suggest. `now` is a monotonic clock's, in seconds."""
        if people > self._seen[0] or computing != self._seen[1]:
            self._stirred_at = now
        self._seen = people, computing
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look(now)

    def take(
        self, folder: Path, environment: Mapping[str, str]
    ) -> tuple[subprocess.Popen[bytes], str] | None:
        """Give the job of this folder to the spare, and let it have this environment besides its
        own: its process and its mark, no longer ours. None where there is no spare."""
        process, self._process = self._process, None
        if process is None:
            return None
        told = {**environment, sweep.MARK: str(folder)}
        if not launching.exited(process) and _order(process, str(folder), told):
            return process, self._mark
        _end(process)
        return None

    def leave(self) -> None:
        """End it."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _look(self, now: float) -> None:
        free = psutil.virtual_memory().available
        if self._process is not None and launching.exited(self._process):
            _log.warning("the spare engine ended by itself (%s)", self._process.poll())
            self._look_at = now + RETRY_SECONDS
            self.leave()
        elif self._process is None:
            if self._is_wanted(now) and free >= WARM_ABOVE_BYTES:
                self._make(now)
        elif free < DROP_BELOW_BYTES or now - self._stirred_at >= KEPT_SECONDS:
            self.leave()

    def _is_wanted(self, now: float) -> bool:
        people, computing = self._seen
        on = os.environ.get(SWITCH, "no" if launching.COMMAND in os.environ else "yes") == "yes"
        calm = self._calm <= now - self._stirred_at < KEPT_SECONDS
        return on and calm and people > 0 and not (computing and _few_cores())

    def _make(self, now: float) -> None:
        self._mark = f"spare-{secrets.token_hex(8)}"
        words = ["--home", str(self._home.root), "--spare"]
        try:
            self._process = launching.start(words, self._mark, subprocess.DEVNULL, listens=True)
        except StudioError as error:
            _log.warning("no spare engine: %s", error.text)
            self._look_at = now + RETRY_SECONDS


def _few_cores() -> bool:
    """A job that computes is not to share them with imports."""
    return (psutil.cpu_count(logical=False) or 1) <= CORES_TO_SHARE


def _order(process: subprocess.Popen[bytes], folder: str, environment: dict[str, str]) -> bool:
    """Say to a spare which job is its own; False where it is gone."""
    line = msgspec.json.encode({"folder": folder, "environment": environment})
    assert process.stdin
    try:
        process.stdin.write(line + b"\n")
        process.stdin.flush()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """It has nothing to keep."""
    if process.returncode is None:
        sweep.signal_group(process.pid, kill=True)
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    process.wait()
