"""Locks that the operating system drops when their holder dies, however it dies."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        try:
            file.seek(1 << 30)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _is_free(file: BinaryIO) -> bool:
        """There are no shared locks: whoever only looks as well is gone in an instant."""
        for _ in range(5):
            if _try_lock(file):
                return True
            time.sleep(0.005)
        return False

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _is_free(file: BinaryIO) -> bool:
        """Two that only look don't take each other for a holder."""
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class Lock:
    """An exclusive lock on a file. The file stays; only who holds it matters."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free; False if another process or object holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab+")
        if not _try_lock(file):
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens if it isn't held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def held(path: Path) -> bool:
    """Whether somebody holds the lock at this path."""
    if not path.exists():
        return False
    with path.open("ab+") as file:
        return not _is_free(file)


def holder(path: Path) -> int | None:
    """The process id that the last holder wrote down."""
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None


def taken(lock: Lock, seconds: float) -> bool:
    """Take the lock as soon as it is free; False where it isn't within so many seconds."""
    until = time.monotonic() + seconds
    while not lock.acquire():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
