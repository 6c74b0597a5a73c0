"""How much memory this engine holds, in bytes, and how it gives back what it doesn't need."""

from __future__ import annotations

import ctypes
import gc
import sys

import psutil
import torch

from studio.core.facts import Gpu, Machine
from studio.engine import conditions
from studio.engine.fast import slabs
from studio.library import settings
from studio.library.folders import Home


def machine(home: Home) -> Machine:
    """This machine as far as memory goes, for the core's arithmetic."""
    ram = psutil.virtual_memory()
    return Machine(
        gpus=tuple(_card(index) for index in range(torch.cuda.device_count())),
        cpu=conditions.processor(),
        cores=psutil.cpu_count() or 1,
        ram_total_bytes=ram.total,
        ram_free_bytes=ram.available,
        reserve_bytes=settings.load(home).reserve_bytes,
        bf16_cpu=torch.backends.cpu.get_cpu_capability() == "AVX512",
    )


def _card(index: int) -> Gpu:
    free, total = torch.cuda.mem_get_info(index)
    return Gpu(
        index=index,
        name=torch.cuda.get_device_name(index),
        total_bytes=total,
        used_bytes=total - free,
        free_bytes=free,
        compute_capability=torch.cuda.get_device_capability(index),
        driver=conditions.driver(),
        vendor="amd" if torch.version.hip else "nvidia",
    )


def held() -> dict[str, float | None]:
    """The process's resident memory now, and the card's highest reservation where there is one."""
    now: dict[str, float | None] = {"memory_bytes": float(psutil.Process().memory_info().rss)}
    if torch.cuda.is_available():
        now["vram_bytes"] = float(torch.cuda.max_memory_reserved())
    return now


def peak() -> int:
    """The most that was held so far: the card's where there is one, else the process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(most, psutil.Process().memory_info().rss)  # the kernel's own mark may lag


def forget_peak() -> None:
    """Begin a new peak on the card; a process's own can't be forgotten."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def free() -> None:
    """Give back what nothing refers to any more and what the allocators keep for later, and begin
    a new peak."""
    gc.collect()
    slabs.clear()
    forget_peak()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
