"""pip as a child process that says how far it is and can be given up."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from studio.client.cancelled import Cancelled
from studio.core.errors import StudioError

POLL_SECONDS = 0.2
QUIET = ("--no-input", "--disable-pip-version-check", "--progress-bar=off")


def available() -> bool:
    """Whether this Python environment has pip."""
    return importlib.util.find_spec("pip") is not None


def run(
    arguments: Sequence[str],
    scratch: Path,
    tick: Callable[[int, str], None],
    cancelled: Callable[[], bool],
    what: str,
) -> tuple[int, str]:
    """pip's exit status and what it said. Its temporary files lie in `scratch`.

    `tick` is told now and then how many bytes have come and what pip said so far. Raises
    Cancelled, with pip ended.
    """
    log = scratch / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pip", *arguments, *QUIET],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)),
        )
        try:
            while not _ended(process):
                if cancelled():
                    raise Cancelled(what)
                tick(_come(scratch), _read(log))
        finally:
            process.kill()
            process.wait()
    return process.returncode, _read(log)


def last_line(said: str) -> str:
    """Why pip gave up, without its full stop."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    if not lines:
        return "pip gave no reason"
    return (errors or lines)[-1].removeprefix("ERROR: ").rstrip(".")


def refuse_without(title: str, text: str, fix: str) -> None:
    """StudioError where this environment has no pip."""
    if not available():
        raise StudioError(title, text, fix)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(POLL_SECONDS)
        return True
    return False


def _come(scratch: Path) -> int:
    """Bytes of the files that pip fetches: it writes them somewhere below its scratch folder."""
    total = 0
    for path in scratch.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
