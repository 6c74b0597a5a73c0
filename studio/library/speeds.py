"""How fast this machine was measured to train, kept in the home folder for the times to come."""

from __future__ import annotations

import contextlib
import time

import msgspec

from studio.core import work
from studio.core.facts import Machine, ModelFacts
from studio.core.recipe import Recipe
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.plan import plan_of
from studio.core.speed import Speed, SpeedKey, device_of
from studio.core.upgrades import Newer
from studio.core.work import Rows
from studio.library import formats, locks
from studio.library.files import write_whole
from studio.library.folders import Home
from studio.library.locks import Lock

OF_A_KEY, MOST = 20, 400
SHORTEST_SECONDS = 0.05
"""A measurement shorter than this says more about the clock."""
_PATIENCE_SECONDS = 2.0


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    speeds: tuple[Speed, ...] = ()


def kept(home: Home) -> tuple[Speed, ...]:
    """All measurements, the newest last; none where there is no file that can be read."""
    try:
        return _read(home)
    except (OSError, ValueError, Newer):
        return ()


def measured(
    recipe: Recipe,
    facts: ModelFacts,
    machine: Machine,
    rows: Rows,
    seconds: float,
    *,
    checkpointing: bool,
    dtype: str,
) -> Speed | None:
    """The speed at which these rows were learnt; None where it can't be reckoned."""
    shapes = shapes_of(facts.config)
    if shapes is None or seconds < SHORTEST_SECONDS or rows.tokens <= 0:
        return None
    device, driver = device_of(machine)
    plan = plan_of(recipe, machine, checkpointing=checkpointing)
    return Speed(
        key=SpeedKey(device=device, driver=driver, dtype=dtype, method=recipe.method),
        flops=work.training(shapes, plan, rows) / seconds,
        parameters=shapes.parameters,
        measured_at=time.time(),
    )


def remember(home: Home, new: Speed) -> bool:
    """Add a measurement; older ones of its kind go beyond a few.

    False where it can't be kept: a disk that refuses, a newer studio's file, another that writes.
    """
    lock = Lock(home.speeds.with_suffix(".lock"))
    try:
        if not locks.taken(lock, _PATIENCE_SECONDS):
            return False
        try:
            _add(home, new)
        finally:
            lock.release()
    except (OSError, Newer):
        return False
    return True


def _add(home: Home, new: Speed) -> None:
    before: tuple[Speed, ...] = ()
    with contextlib.suppress(FileNotFoundError, ValueError):
        before = _read(home)
    same = [one for one in before if one.key == new.key][1 - OF_A_KEY :]
    others = [one for one in before if one.key != new.key]
    write_whole(home.speeds, formats.encode("speeds", _Kept(speeds=(*others, *same, new)[-MOST:])))


def _read(home: Home) -> tuple[Speed, ...]:
    content = home.speeds.read_bytes()
    return formats.decode("speeds", content, _Kept, f"The file {home.speeds}").speeds
