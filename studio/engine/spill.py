"""Watches for a driver that moves a full card's memory into the system's."""

from __future__ import annotations

import platform
import sys

import pynvml  # type: ignore[import-untyped]
import torch

from studio.core.spill import SpillGuard
from studio.engine.channel import Channel


class SpillWatch:
    """Hears every step of a run and warns once. `uuid` is that of the card, without "GPU-"."""

    def __init__(self, channel: Channel, uuid: str) -> None:
        self._channel = channel
        self._uuid = uuid
        self._guard = SpillGuard()

    def hear(self, seconds: float, tokens: int) -> None:
        """A step took so long over so many tokens."""
        if text := self._guard.hear(seconds / max(1, tokens), lambda: used_share(self._uuid)):
            self._channel.note(text, "warning")


def watch(channel: Channel, device: torch.device) -> SpillWatch | None:
    """A watch over the card that a run uses; None where no driver does such a thing."""
    if device.type != "cuda" or not _driver_spills():
        return None
    return SpillWatch(channel, str(torch.cuda.get_device_properties(device).uuid))


def used_share(uuid: str) -> float | None:
    """How much of the card's own memory all programs use, as NVML shows it; None unknown.

    The allocator's own figures don't tell: to it, memory in the system is the card's.
    """
    try:
        pynvml.nvmlInit()
        try:
            for index in range(pynvml.nvmlDeviceGetCount()):
                card = pynvml.nvmlDeviceGetHandleByIndex(index)
                if str(pynvml.nvmlDeviceGetUUID(card)).endswith(uuid):
                    memory = pynvml.nvmlDeviceGetMemoryInfo(card)
                    return float(memory.used / memory.total)
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
    return None


def _driver_spills() -> bool:
    """Windows, also below Linux: elsewhere a full card is an error."""
    return sys.platform == "win32" or "microsoft" in platform.release().lower()
