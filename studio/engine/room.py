"""How much memory there is for a conversation, and in how many bits its base fits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import psutil
import torch

from studio.core.errors import StudioError
from studio.library import models

Bits = Literal[16, 4]

_KEPT_BYTES = 1 << 29
"""Left to everything else: what is read and said takes memory too."""
_OVERHEAD = 1.1
"""Of the weights: buffers, and what loading takes for a moment."""


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """In how many bits a base is held, and why in a sentence."""

    bits: Bits
    reason: str


def spare(device: torch.device) -> int:
    """Bytes that may be used on this device besides what is used now."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return max(0, free + unused - _KEPT_BYTES)
    return max(0, psutil.virtual_memory().available - _KEPT_BYTES)


def decide(folder: Path, wanted: str, dtype: torch.dtype, device: torch.device) -> Fit:
    """How to hold this base: as asked for, or by itself in 4 bits only where more doesn't fit.

    `wanted` is auto, 16 or 4. Raises StudioError for another word.
    """
    if wanted not in ("auto", "16", "4"):
        raise StudioError(
            "Unknown number of bits",
            f"A base can't be held in {wanted} bits.",
            "Use auto, 16 or 4.",
        )
    if wanted != "auto":
        return Fit(bits=4 if wanted == "4" else 16, reason="asked for")
    facts = models.inspect(folder)
    if "quantization_config" in facts.config:
        return Fit(bits=16, reason="the model is stored quantized and is taken as it is")
    weights, free = facts.parameters * dtype.itemsize, spare(device)
    told = f"its weights take {_gigabytes(weights)} in {8 * dtype.itemsize} bits, and "
    if weights * _OVERHEAD <= free:
        return Fit(bits=16, reason=f"{told}{_gigabytes(free)} are free")
    return Fit(bits=4, reason=f"{told}only {_gigabytes(free)} are free")


def _gigabytes(count: int) -> str:
    return f"{count / 1024**3:.1f} GB"
