"""A keeper of another version: an older one is asked to leave, a newer one is left alone.

For this, whatever the version: Hello, Jobs, Quit and Welcome (core/wire.py) never change.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import studio
from studio.core.commands import OUTLIVES_CLIENT
from studio.core.errors import StudioError
from studio.library import locks, rendezvous

if TYPE_CHECKING:
    from studio.client.keeper import Keeper

LEAVE_SECONDS = 20.0
_LOOK_SECONDS = 0.02
_OUTLIVES = {kind.__struct_config__.tag for kind in OUTLIVES_CLIENT}


def replaced(keeper: Keeper) -> bool:
    """Whether this keeper was an older studio's and has left, so that ours can take over.

    Trainings go on meanwhile. Raises StudioError where a newer studio's keeper is at work, or an
    older one that can't be sent away without ending what somebody looks at.
    """
    theirs, ours = keeper.welcome.version, studio.__version__
    if _numbers(theirs) == _numbers(ours):
        return False
    if _numbers(theirs) > _numbers(ours):
        raise StudioError(
            "A newer studio is at work here",
            f"Version {theirs} looks after {keeper.home.root}, and this is version {ours}.",
            f"Use version {theirs}, or quit it there and wait until its runs have ended.",
        )
    if any(row.kind not in _OUTLIVES for row in keeper.jobs()):
        raise StudioError(
            "An older studio is still open",
            f"A chat or a measurement of version {theirs} is at work in {keeper.home.root}.",
            "Close the older window, then try again; trainings go on.",
        )
    keeper.quit()
    _wait_until_gone(keeper)
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _wait_until_gone(keeper: Keeper) -> None:
    lock, pid = rendezvous.lock_file(keeper.home), keeper.welcome.pid
    until = time.monotonic() + LEAVE_SECONDS
    while locks.held(lock) and locks.holder(lock) == pid:
        if time.monotonic() > until:
            raise StudioError(
                "An older studio doesn't leave",
                f"The keeper of version {keeper.welcome.version} (process {pid}) was asked to "
                f"leave {keeper.home.root} and stays.",
                f"End process {pid} and try again; a running training goes on meanwhile.",
            )
        time.sleep(_LOOK_SECONDS)
