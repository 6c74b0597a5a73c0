"""A lock is held by one, and falls with its holder."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from studio.library import locks

HOLD = """
import sys
from pathlib import Path
from studio.library.locks import Lock
lock = Lock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_a_lock_is_taken_once(tmp_path: Path) -> None:
    first, second = locks.Lock(tmp_path / "lock"), locks.Lock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert locks.held(tmp_path / "lock")
    first.release()
    assert not locks.held(tmp_path / "lock")
    assert second.acquire()
    second.release()


def test_nobody_holds_a_lock_that_was_never_taken(tmp_path: Path) -> None:
    assert not locks.held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "True"
        assert locks.held(path)
        assert locks.holder(path) == child.pid
        child.kill()
        child.wait()
        assert not locks.held(path)


def test_those_who_only_look_take_nobody_for_a_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()

    def look(until: float) -> int:
        seen = 0
        while time.monotonic() < until:
            seen += locks.held(path)
        return seen

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(look, [time.monotonic() + 0.5] * 3)) == 0
