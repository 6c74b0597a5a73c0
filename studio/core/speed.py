"""How fast this machine was measured to train, and which measurement speaks for a recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from studio.core.facts import Machine
from studio.core.recipe import Method, Recipe

NEAR = 2.0
"""Models up to so many times larger or smaller reach about the same speed on a device."""
NEAR_SPREAD, FAR_SPREAD = 1.25, 2.0
"""By which factor a time may be off either way: from a model of like size, and from another."""


class SpeedKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a speed is of: the device's name and driver, the number format and the method."""

    device: str
    driver: str = ""
    dtype: str = ""
    method: Method = "lora"


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """`flops` floating-point operations a second (as core/work counts them), measured with a model
    of `parameters` at `measured_at`, in seconds since 1970."""

    key: SpeedKey
    flops: float
    parameters: int = 0
    measured_at: float = 0.0


def device_of(machine: Machine) -> tuple[str, str]:
    """Name and driver of the device that a run would use."""
    if gpu := machine.gpu:
        return gpu.name, gpu.driver
    return machine.cpu or "CPU", ""


def speed_for(
    kept: Sequence[Speed], recipe: Recipe, machine: Machine | None, parameters: int = 0
) -> Speed | None:
    """The measurement that speaks for this recipe: same device, driver, method and, where the
    recipe asks for one, number format; of those the nearest in size, then the newest.

    None where nothing of the kind was measured.
    """
    if machine is None:
        return None
    device, driver = device_of(machine)
    wanted = recipe.training.dtype
    fitting = [
        one
        for one in kept
        if (one.key.device, one.key.driver, one.key.method) == (device, driver, recipe.method)
        and wanted in ("auto", one.key.dtype)
        and one.flops > 0
    ]
    return min(
        fitting, key=lambda one: (round(_apart(one, parameters)), -one.measured_at), default=None
    )


def spread(speed: Speed, parameters: int) -> float:
    """The factor by which a time reckoned with this speed may be off either way."""
    return NEAR_SPREAD if _apart(speed, parameters) <= math.log2(NEAR) else FAR_SPREAD


def _apart(speed: Speed, parameters: int) -> float:
    """How far apart in size, in doublings; 0 where a size isn't known."""
    if not (speed.parameters and parameters):
        return 0.0
    return abs(math.log2(speed.parameters / parameters))
