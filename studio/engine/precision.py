"""Which device and which number format this machine does best."""

from __future__ import annotations

import math
import time

import msgspec
import torch

from studio.core.recipe import Dtype

_PROBE_SIZE = 512
_PROBE_SECONDS = 0.1

NAMES: dict[str, torch.dtype] = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """The format that matrix products are computed in, and why."""

    name: str
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        """The torch dtype of the name."""
        return NAMES[self.name]

    @property
    def scaled(self) -> bool:
        """Whether gradients need loss scaling to survive: float16 alone."""
        return self.name == "float16"


def best_device() -> torch.device:
    """The first card where there is one, else the processor."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def decide(wanted: Dtype, device: torch.device) -> Precision:
    """The format for this device: the one asked for where the device has it."""
    if device.type == "cuda":
        return _on_card(wanted)
    return _on_processor(wanted)


def _on_card(wanted: Dtype) -> Precision:
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "float32" or wanted == "float16":
        return Precision(name=wanted, reason="asked for")
    if has_bf16:
        return Precision(name="bfloat16", reason="the card computes in bfloat16")
    return Precision(name="float16", reason="the card has no bfloat16; the loss is scaled")


def _on_processor(wanted: Dtype) -> Precision:
    if wanted == "float16":
        told = "float16 is for cards; "
    elif wanted != "auto":
        return Precision(name=wanted, reason="asked for")
    else:
        told = ""
    rates = {name: _rate(NAMES[name]) for name in ("bfloat16", "float32")}
    best = max(rates, key=lambda name: rates[name])
    figures = ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in rates.items())
    return Precision(name=best, reason=f"{told}measured on this processor: {figures}")


def _rate(dtype: torch.dtype) -> float:
    """Matrix products at a small model's shapes, in 10^9 floating-point operations a second: the
    quickest of several, which another program disturbs least."""
    rows, inner = _PROBE_SIZE, 2 * _PROBE_SIZE
    left = torch.ones(rows, inner, dtype=dtype)
    right = torch.ones(inner, rows, dtype=dtype)
    left @ right
    best, begun = math.inf, time.perf_counter()
    while (start := time.perf_counter()) - begun < _PROBE_SECONDS:
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * rows * rows * inner / best / 1e9
