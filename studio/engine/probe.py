"""Which cards torch sees, for those that NVML can't.

Written from torch's documentation and not verified on such a card.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import msgspec
import torch

from studio.core import events
from studio.core.facts import Gpu
from studio.engine.job import Context
from studio.library import seen_cards


def run(context: Context) -> None:
    """Look, and keep what was seen for the keeper."""
    context.channel.emit(events.Started(pid=os.getpid()))
    found = look()
    seen_cards.save(context.home, found)
    context.channel.emit(events.Finished(result={"gpus": msgspec.to_builtins(found)}))


def look(library: Any = torch) -> tuple[Gpu, ...]:
    """The cards of AMD, Intel and Apple that torch can compute on."""
    found = [*_by_hip(library), *_by_xpu(library), *_by_mps(library)]
    return tuple(found)


def _by_hip(library: Any) -> list[Gpu]:
    """ROCm's torch calls its cards CUDA's; NVIDIA's own are left to NVML."""
    hip = getattr(library.version, "hip", None)
    if not hip or not library.cuda.is_available():
        return []
    return [
        _gpu(index, library.cuda, "amd", f"ROCm {hip}")
        for index in range(library.cuda.device_count())
    ]


def _by_xpu(library: Any) -> list[Gpu]:
    xpu = getattr(library, "xpu", None)
    if xpu is None or not xpu.is_available():
        return []
    return [_gpu(index, xpu, "intel", "") for index in range(xpu.device_count())]


def _by_mps(library: Any) -> list[Gpu]:
    """One, which shares its memory with the processor; Metal says how much of it a program should
    use at most (recommendedMaxWorkingSetSize)."""
    if not library.backends.mps.is_available():
        return []
    total = int(library.mps.recommended_max_memory())
    used = int(library.mps.driver_allocated_memory())
    return [
        Gpu(
            index=0,
            name="Apple GPU",
            vendor="apple",
            total_bytes=total,
            used_bytes=used,
            free_bytes=total - used,
        )
    ]


def _gpu(index: int, backend: Any, vendor: Any, driver: str) -> Gpu:
    properties = backend.get_device_properties(index)
    total, free = int(properties.total_memory), int(properties.total_memory)
    with contextlib.suppress(RuntimeError):  # some of Intel's cards don't say what is free
        free, total = (int(value) for value in backend.mem_get_info(index))
    return Gpu(
        index=index,
        name=str(properties.name),
        vendor=vendor,
        total_bytes=total,
        used_bytes=total - free,
        free_bytes=free,
        driver=driver or str(getattr(properties, "driver_version", "")),
    )
