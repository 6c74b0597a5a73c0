"""What the last digits of a run depend on besides its decisions: device, driver, versions."""

from __future__ import annotations

import contextlib
import platform
from importlib import metadata
from pathlib import Path

import torch

_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")


def here(device: torch.device) -> dict[str, str]:
    """Name of each condition -> what it is in this process."""
    found = {"device": _device(device), "kernels": _kernels(device)}
    if device.type == "cuda":
        found["driver"] = driver()
    return found | {name: metadata.version(name) for name in _PACKAGES}


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What changed, in words; nothing is said of what wasn't recorded."""
    return [
        f"{_WORDS.get(name, name)} is {now.get(name, 'gone')}, not {value}"
        for name, value in before.items()
        if now.get(name) != value
    ]


_WORDS = {
    "device": "the device",
    "kernels": "the set of kernels",
    "driver": "the driver",
}


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


def _kernels(device: torch.device) -> str:
    if device.type == "cuda":
        return f"CUDA {torch.version.cuda}"
    return torch.backends.cpu.get_cpu_capability()


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def driver() -> str:
    """The driver's version as NVML gives it; empty where it doesn't."""
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
        try:
            return str(pynvml.nvmlSystemGetDriverVersion())
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return ""
