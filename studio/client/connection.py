"""Finding a home's keeper or starting it, within a time."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Client, Connection
from pathlib import Path

import studio
from studio.core.errors import StudioError
from studio.library import locks, rendezvous
from studio.library.folders import Home

CONNECT_SECONDS = 20.0
_PROOF_SECONDS = 5.0
_LOSER_SECONDS = 5.0
_LOG_BYTES = 1 << 20
_started: list[subprocess.Popen[bytes]] = []


def connect(
    home: Home,
    *,
    start: bool = True,
    seconds: float = CONNECT_SECONDS,
    cancelled: Callable[[], bool] = lambda: False,
) -> Connection:
    """A proven connection to the home's keeper.

    Raises StudioError where there is none and `start` is false, where it can't be started, and
    where it doesn't answer in time or before `cancelled`.
    """
    until = time.monotonic() + seconds
    child: subprocess.Popen[bytes] | None = None
    while True:
        if connection := _try(home, until):
            _see_off(child, home)
            return connection
        living = locks.held(rendezvous.lock_file(home))
        if not living and not start:
            raise StudioError(
                "No keeper is running",
                f"Nothing of {home.root} is running in the background.",
                "Start a run, or open the window.",
            )
        if not living and (child is None or child.poll() is not None):
            if child is not None and child.returncode != 0:
                raise _failed(home)
            child = _start(home)
        if time.monotonic() > until or cancelled():
            raise _silent(home)
        _wait(child)


def is_running(home: Home) -> bool:
    """Whether the home has a keeper."""
    return locks.held(rendezvous.lock_file(home))


def reap() -> None:
    """Take note of keepers started here that have ended since."""
    _started[:] = [one for one in _started if one.poll() is None]


def reap_ending(pid: int, seconds: float) -> None:
    """Wait for this keeper's process to end, if it was started here."""
    for one in [one for one in _started if one.pid == pid]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.wait(seconds)
    reap()


def _try(home: Home, until: float) -> Connection | None:
    door = rendezvous.read_door(home)
    if door is None:
        return None
    try:
        connection = Client(door.address)
    except (OSError, EOFError):
        return None
    seconds = min(_PROOF_SECONDS, until - time.monotonic())
    if rendezvous.prove(connection, door.key, keeper=False, seconds=seconds):
        return connection
    connection.close()
    return None


def _see_off(child: subprocess.Popen[bytes] | None, home: Home) -> None:
    """A keeper started here that found another one at work ends by itself: wait for that."""
    if child is not None and locks.holder(rendezvous.lock_file(home)) != child.pid:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_LOSER_SECONDS)


def _start(home: Home) -> subprocess.Popen[bytes]:
    """Start the keeper so that it outlives this process."""
    reap()
    home.make()
    log = rendezvous.log_file(home)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "studio", "keeper", "--home", str(home.root.absolute())]
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=Path(studio.__file__).parent.parent,
            start_new_session=True,
            creationflags=_windows_flags(),
        )
    _started.append(child)
    return child


def _windows_flags() -> int:
    if sys.platform != "win32":
        return 0
    return (
        subprocess.DETACHED_PROCESS
        | subprocess.CREATE_NEW_PROCESS_GROUP
        | subprocess.CREATE_NO_WINDOW
    )


def _wait(child: subprocess.Popen[bytes] | None) -> None:
    """A moment, or until the keeper just started is gone again."""
    if child is None:
        time.sleep(0.03)
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(0.03)
        time.sleep(0.03)


def _failed(home: Home) -> StudioError:
    with contextlib.suppress(OSError):
        lines = rendezvous.log_file(home).read_text("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return StudioError(
            "The background process can't start",
            f"The keeper of {home.root} ended at once: {last.strip() or 'it said nothing'}.",
            "Check the installation with “finetune-studio doctor”.",
        )
    return StudioError(
        "The background process can't start",
        f"The keeper of {home.root} ended at once.",
        "Check that the folder can be written.",
    )


def _silent(home: Home) -> StudioError:
    holder = locks.holder(rendezvous.lock_file(home))
    return StudioError(
        "The background process doesn't answer",
        f"The keeper of {home.root} (process {holder}) did not answer in time.",
        f"End process {holder} and try again; a running training goes on meanwhile.",
    )
