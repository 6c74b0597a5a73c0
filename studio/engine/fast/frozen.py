"""The weight of a layer that doesn't learn, in the format that products are computed in."""

from __future__ import annotations

import torch
from torch import nn


class Frozen:
    """A linear layer's weight of shape (outputs, inputs), and its bias."""

    def __init__(self, layer: nn.Linear) -> None:
        self._layer = layer
        self.bias: torch.Tensor | None = layer.bias

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight in this format."""
        return self._layer.weight.to(dtype)


class Frozen4bit(Frozen):
    """The same of a layer in four bits, which is unpacked each time."""

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight in this format: what bitsandbytes' own product multiplies with."""
        from bitsandbytes.functional import dequantize_4bit

        packed = self._layer.weight
        return dequantize_4bit(packed, packed.quant_state).to(dtype)  # type: ignore[attr-defined]


def frozen(layer: nn.Module) -> Frozen | None:
    """A view of the layer's weight; None where it isn't a linear layer that is frozen."""
    if type(layer) is nn.Linear:
        learnt = layer.weight.requires_grad or (layer.bias is not None and layer.bias.requires_grad)
        return None if learnt else Frozen(layer)
    if type(layer).__name__ == "Linear4bit" and getattr(layer.weight, "quant_state", None):
        return Frozen4bit(layer)  # type: ignore[arg-type]
    return None
