"""Which of several cards an engine computes on, said to it by its environment.

It sees that card alone then (CUDA Programming Guide, environment variables).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from studio.core.facts import Gpu

VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
BY_SLOT = "PCI_BUS_ID"


def visible(gpus: tuple[Gpu, ...], environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The cards that whoever started the studio leaves to it. Numbers only count where they are
    NVML's; CUDA's own put the fastest card first."""
    said = environment.get(VISIBLE)
    if said is None:
        return gpus
    names = [name.strip().lower() for name in said.split(",") if name.strip()]
    if not names or names[0].startswith("-"):
        return ()
    by_slot = environment.get(ORDER) == BY_SLOT or len(gpus) == 1
    if all(name.isdecimal() for name in names) and not by_slot:
        return gpus
    found = [gpu for name in names for gpu in gpus if _is(gpu, name)]
    return tuple(found) or gpus


def environment(gpus: tuple[Gpu, ...], card: int) -> dict[str, str]:
    """What an engine finds in its environment beside the rest, to compute on this one of several
    cards: nothing where there is only one."""
    if len(gpus) < 2:
        return {}
    return {ORDER: BY_SLOT, VISIBLE: gpus[card].uuid or str(gpus[card].index)}


def _is(gpu: Gpu, name: str) -> bool:
    return gpu.uuid.lower().startswith(name) if name.startswith("gpu-") else str(gpu.index) == name
