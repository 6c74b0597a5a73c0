"""What was measured on this machine, kept in the home folder for the estimates to come."""

from __future__ import annotations

import contextlib

import msgspec

from studio.core.calibration import NEWEST, Calibration
from studio.core.upgrades import Newer
from studio.library import formats, locks
from studio.library.files import write_whole
from studio.library.folders import Home
from studio.library.locks import Lock

# More of each key than are looked at, for they are of different sizes.
_OF_A_KEY = 4 * NEWEST
_MOST = 500
_PATIENCE_SECONDS = 2.0


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    calibrations: tuple[Calibration, ...] = ()


def kept(home: Home) -> tuple[Calibration, ...]:
    """All measurements, the newest last; none where there is no file that can be read."""
    try:
        return _read(home)
    except (OSError, ValueError, Newer):
        return ()


def remember(home: Home, new: Calibration) -> bool:
    """Add a measurement; older ones of its kind go beyond a few.

    False where it can't be kept: a disk that refuses, a newer studio's file, another that writes.
    A measurement is worth having, never worth failing for.
    """
    lock = Lock(home.calibrations.with_suffix(".lock"))
    try:
        if not locks.taken(lock, _PATIENCE_SECONDS):
            return False
        try:
            return _add(home, new)
        finally:
            lock.release()
    except (OSError, Newer):
        return False


def _add(home: Home, new: Calibration) -> bool:
    before: tuple[Calibration, ...] = ()
    with contextlib.suppress(FileNotFoundError, ValueError):
        before = _read(home)
    same = [one for one in before if one.key == new.key][1 - _OF_A_KEY :]
    others = [one for one in before if one.key != new.key]
    kept = _Kept(calibrations=(*others, *same, new)[-_MOST:])
    write_whole(home.calibrations, formats.encode("calibrations", kept))
    return True


def _read(home: Home) -> tuple[Calibration, ...]:
    content = home.calibrations.read_bytes()
    what = f"The file {home.calibrations}"
    return formats.decode("calibrations", content, _Kept, what).calibrations
