"""A base as a QLoRA adapter was trained on it: its linear layers through NF4 and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from safetensors import safe_open

from studio.library.models import weights
from studio.library.models.tensors import Tensor


def layers(tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """The tensors that training holds in 4 bits: linear layers inside the blocks."""
    names = {f"{last}.weight" for last in weights.linear_modules(tensors)}
    return frozenset(
        name
        for name, tensor in tensors.items()
        if len(tensor.shape) == 2 and _last_two(name) in names
    )


class AsTrained:
    """Turns a weight into what the 4-bit model computed with, in float32.

    `dtype` is the type that the run held its base in: what isn't in 4 bits is rounded to it, and
    the linear layers were before they went into 4 bits, and when they came out of them.
    """

    def __init__(self, names: Iterable[str], dtype: torch.dtype) -> None:
        self._names, self.dtype = frozenset(names), dtype

    def __call__(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        if name not in self._names:
            return weight.to(self.dtype).float()
        packed, state = quantize_4bit(
            weight.to(self.dtype), blocksize=64, compress_statistics=True, quant_type="nf4"
        )
        return dequantize_4bit(packed, state).float()

    def touches(self, name: str, stored: torch.dtype | None) -> bool:
        """Whether it makes another of a weight that is stored in this type."""
        if stored is None:
            return False
        return name in self._names or torch.promote_types(stored, self.dtype) != self.dtype


class AsStored:
    """Gives a base back the weights that lie in its files, whatever it was made to hold."""

    def __init__(self, base: Path) -> None:
        self._tensors = weights.read(base)[0]

    def __call__(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        stored = self._tensors.get(name)
        if stored is None:
            return weight
        with safe_open(stored.file, "pt") as file:
            found: torch.Tensor = file.get_tensor(name)
        return found.float()


@torch.no_grad()
def put(model: torch.nn.Module, held: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    """Give a plain model, or one under an adapter, the weights that `held` makes of its own."""
    for name, weight in model.named_parameters():
        weight.copy_(held(name.replace(".base_layer.", "."), weight.float()))


def _last_two(name: str) -> str:
    return ".".join(name.rsplit(".", 2)[-2:])
