"""What an export takes on disk, by the sizes of the model's tensors."""

from __future__ import annotations

from pathlib import Path

from studio.core.exporting import Format, Quantization
from studio.library import adapter_files
from studio.library.models import weights
from studio.library.models.tensors import Tensor

NF4_BITS = 4.13
"""Four bits a weight, and double-quantized scales of blocks of 64."""
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


def estimate(
    format: Format, quantization: Quantization | None, dtype: str, model: Path, adapter: Path | None
) -> int:
    """About how many bytes an export has. StudioError where model or adapter can't be read."""
    beside = adapter_files.size(adapter) if adapter else 0
    if format.id == "adapter":
        return beside
    tensors = weights.read(model)[0]
    if format.module == "four_bit":
        return in_nf4(tensors) + (beside if format.wants_adapter else 0)
    if quantization is not None:
        return int(weights.count(tensors) * quantization.bits / 8)
    if dtype in _BYTES:
        return weights.count(tensors) * _BYTES[dtype]
    return weights.size(tensors)


def in_nf4(tensors: dict[str, Tensor]) -> int:
    """The linear layers inside the blocks in 4 bits, all else as it is."""
    linear = {f"{name}.weight" for name in weights.linear_modules(tensors)}
    return sum(
        int(tensor.numbers * NF4_BITS / 8)
        if len(tensor.shape) == 2 and ".".join(name.rsplit(".", 2)[-2:]) in linear
        else tensor.bytes
        for name, tensor in tensors.items()
    )
