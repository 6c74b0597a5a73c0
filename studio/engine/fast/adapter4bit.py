"""The same for layers in four bits; imported only where bitsandbytes is at work."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.bnb import Linear4bit

from studio.engine.fast.adapter import forward_of


class AdaptedLinear4bit(Linear4bit):
    """PEFT's 4-bit linear layer with an adapter, computed at once where that applies."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Of shape (..., outputs) for `x` of shape (..., inputs)."""
        return forward_of(self, super().forward, x, *args, **kwargs)
