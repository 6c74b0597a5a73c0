"""Set-up as a person sees it: one line a stage, and a sentence where something fails."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

AGAIN = "run the same command again: it goes on where it stopped."
NO_NETWORK = (
    "NewConnectionError",
    "NameResolutionError",
    "name resolution",
    "getaddrinfo failed",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Network is unreachable",
    "Connection refused",
    "ProxyError",
    "error sending request",
    "Failed to fetch",
)
DISK_FULL = ("No space left on device", "not enough space on the disk", "Errno 28")


# pip as it is by default, whatever a person's own settings say about where to install
PLAIN_PIP = {
    "PIP_USER": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}


class SetUpError(Exception):
    """What happened, in one sentence, and what to do about it, in another."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(f"{text}\n{fix}")
        self.text = text


class Stages:
    """Says on standard error what is being done and how long it took; the rest goes to a log."""

    def __init__(self, log: Path) -> None:
        self.log = log

    @contextlib.contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """One line: the text at once, the seconds when it is done."""
        began = time.monotonic()
        print(f"{text} … ", end="", file=sys.stderr, flush=True)
        try:
            yield
        except BaseException:
            print("not finished", file=sys.stderr, flush=True)
            raise
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    def run(self, command: Sequence[str | Path], **environment: str) -> None:
        """Run a command with its output in the log; SetUpError says why it failed."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            before = log.tell()
            code = _wait(command, log.fileno(), os.environ | PLAIN_PIP | environment)
        if code:
            with self.log.open("rb") as log:
                log.seek(before)
                raise explain(log.read().decode("utf-8", "replace"), self.log)


def note(text: str) -> None:
    """A line that a person should read."""
    print(text, file=sys.stderr, flush=True)


def explain(output: str, log: Path) -> SetUpError:
    """A failed command's output as a sentence with a fix."""
    if any(sign in output for sign in NO_NETWORK):
        text = "The network can't be reached, and set-up needs it this once."
        return SetUpError(text, f"Connect (or check the proxy), then {AGAIN}")
    if any(sign in output for sign in DISK_FULL):
        return SetUpError("The disk is full.", f"Free some gigabytes, then {AGAIN}")
    if "Permission denied" in output or "Errno 13" in output:
        text = f"Set-up may not write to {log.parent}, or to pip's cache."
        return SetUpError(text, f"Make it yours or clone to another folder, then {AGAIN}")
    last = "\n".join(f"    {line}" for line in output.strip().splitlines()[-8:])
    return SetUpError(f"This step failed:\n{last}", f"All of it is in {log}; then {AGAIN}")


def _wait(command: Sequence[str | Path], output: int, environment: dict[str, str]) -> int:
    child = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    try:
        return child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
