"""Another program run to its end: heard line by line, and killed when nobody wants it any more."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.1
REMEMBERED = 60
_ENDS = re.compile(rb"[\r\n]")


def run(
    command: Sequence[str | Path], hear: Callable[[str], None], tick: Callable[[], None]
) -> tuple[int, list[str]]:
    """Exit status and the last lines. `hear` gets every line, bars drawn over one another too;
    `tick` is called several times a second and may raise, which ends the program."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    last: deque[str] = deque(maxlen=REMEMBERED)
    try:
        while (line := _next(lines, tick)) is not None:
            last.append(line)
            hear(line)
        return process.wait(), list(last)
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def python(*words: str | Path) -> list[str | Path]:
    """The command line of this Python."""
    return [sys.executable, *words]


def _next(lines: queue.Queue[str | None], tick: Callable[[], None]) -> str | None:
    while True:
        tick()
        try:
            return lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue


def _read(stream: IO[bytes], lines: queue.Queue[str | None]) -> None:
    rest = b""
    while piece := os.read(stream.fileno(), 1 << 16):
        *whole, rest = _ENDS.split(rest + piece)
        for line in whole:
            if line.strip():
                lines.put(line.decode("utf-8", "replace"))
    if rest.strip():
        lines.put(rest.decode("utf-8", "replace"))
    lines.put(None)
