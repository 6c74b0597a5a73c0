"""Base + adapter written tensor by tensor, so that a model never has to fit in memory."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.utils.other import get_pattern_key
from safetensors import safe_open

from studio.core.errors import StudioError
from studio.library import adapter_files
from studio.library.adapter_files import AdapterConfig
from studio.library.models import weights
from studio.library.models.tensors import Tensor

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_NAMES = {dtype: name for name, dtype in TYPES.items()}
_COPY_BYTES = 1 << 22
_PLAIN_SETTINGS = ("use_dora", "modules_to_save", "trainable_token_indices", "lora_bias")

Tick = Callable[[float], None]
"""Told the share done so far, up to 1; may raise to break off."""


@dataclass(frozen=True)
class Delta:
    """What an adapter adds to one weight: scale x B @ A, by the names of its two tensors."""

    a: str
    b: str
    scale: float
    flipped: bool


@dataclass(frozen=True)
class Plan:
    """Which tensors are copied, which are changed and how. `dtype` None keeps each one's own."""

    adapter: Path
    tensors: dict[str, Tensor]
    deltas: dict[str, Delta]
    dtype: torch.dtype | None

    @property
    def bytes(self) -> int:
        """Size of the tensors to be written."""
        return sum(_size(tensor, _target(self, tensor)) for tensor in self.tensors.values())


def can_stream(config: AdapterConfig, adapter: Iterable[str]) -> bool:
    """Whether the adapter is nothing but pairs of A and B on linear layers."""
    if any(config.whole.get(setting) for setting in _PLAIN_SETTINGS):
        return False
    return all(
        adapter_files.module_of(key) and key.endswith((".lora_A.weight", ".lora_B.weight"))
        for key in adapter
    )


def plan(base: Path, adapter: Path, dtype: torch.dtype | None = None) -> Plan:
    """Match every tensor of the adapter with the weight it changes.

    Raises StudioError when the two don't fit, or the base is quantised.
    """
    adapter_files.check_shapes(adapter, base)
    config, keys = adapter_files.read_config(adapter), adapter_files.read_tensors(adapter)
    tensors = weights.read(base)[0]
    deltas: dict[str, Delta] = {}
    for module in {adapter_files.module_of(key) for key in keys}:
        name = adapter_files.match(module, tensors)
        _refuse_quantised(tensors[name])
        deltas[name] = _delta(config, module, keys)
    if len(deltas) * 2 != len(keys):
        raise _unpaired(adapter, len(keys) - 2 * len(deltas))
    return Plan(adapter, tensors, deltas, dtype)


def write(todo: Plan, folder: Path, tick: Tick = lambda share: None) -> None:
    """Write the merged weights into `folder`, cut into files as the base is.

    Sums are computed in float32 and rounded once, as peft's merge_and_unload does in place.
    """
    files = sorted({tensor.file for tensor in todo.tensors.values()})
    whole, done = max(1, todo.bytes), 0
    with safe_open(todo.adapter / adapter_files.WEIGHTS, "pt") as parts:

        def delta(name: str) -> torch.Tensor | None:
            return _product(parts, todo.deltas[name]) if name in todo.deltas else None

        for file in files:
            tensors = {n: t for n, t in todo.tensors.items() if t.file == file}
            with (folder / file.name).open("wb") as out:
                out.write(_header(file, tensors, todo))
                for name, tensor in _in_order(tensors):
                    _write_tensor(out.write, tensor, delta(name), _target(todo, tensor))
                    done += _size(tensor, _target(todo, tensor))
                    tick(done / whole)


def _delta(config: AdapterConfig, module: str, keys: dict[str, Tensor]) -> Delta:
    prefix = next(key for key in keys if adapter_files.module_of(key) == module).split(".lora_")[0]
    a, b = f"{prefix}.lora_A.weight", f"{prefix}.lora_B.weight"
    ranks, alphas = config.whole.get("rank_pattern") or {}, config.whole.get("alpha_pattern") or {}
    rank = int(ranks.get(get_pattern_key(list(ranks), module), config.rank))
    alpha = float(alphas.get(get_pattern_key(list(alphas), module), config.alpha))
    if a not in keys or b not in keys or keys[a].shape[0] != rank or keys[b].shape[-1] != rank:
        raise StudioError(
            "Damaged adapter",
            f"The weights for {module} aren't a pair of rank {rank}, as its settings say.",
            "Copy or download the adapter again.",
        )
    scale = alpha / math.sqrt(rank) if config.whole.get("use_rslora") else alpha / rank
    return Delta(a, b, scale, bool(config.whole.get("fan_in_fan_out")))


def _product(parts: Any, delta: Delta) -> torch.Tensor:
    a, b = parts.get_tensor(delta.a).float(), parts.get_tensor(delta.b).float()
    product: torch.Tensor = b @ a
    return (product.T if delta.flipped else product) * delta.scale


def _write_tensor(
    put: Callable[[bytes], object],
    tensor: Tensor,
    delta: torch.Tensor | None,
    dtype: str,
) -> None:
    if delta is None and dtype == tensor.dtype:
        _copy(put, tensor)
        return
    weight = _read(tensor).float()
    if delta is not None:
        weight = weight + delta
    rounded = weight.to(TYPES[dtype]).contiguous()
    if not torch.isfinite(rounded).all():
        raise StudioError(
            "The merge overflows",
            f"In {tensor.name} numbers grow beyond what {dtype} can hold.",
            "Merge into bfloat16 or float32, or train with a lower learning rate.",
        )
    put(rounded.view(torch.uint8).numpy().tobytes() if rounded.dim() else _scalar(rounded))


def _scalar(value: torch.Tensor) -> bytes:
    return value.reshape(1).view(torch.uint8).numpy().tobytes()


def _copy(put: Callable[[bytes], object], tensor: Tensor) -> None:
    with tensor.file.open("rb") as source:
        source.seek(tensor.begin)
        left = tensor.bytes
        while left:
            chunk = source.read(min(left, _COPY_BYTES))
            put(chunk)
            left -= len(chunk)


def _read(tensor: Tensor) -> torch.Tensor:
    with tensor.file.open("rb") as source:
        source.seek(tensor.begin)
        content = bytearray(source.read(tensor.bytes))
    return torch.frombuffer(content, dtype=TYPES[tensor.dtype]).view(tensor.shape)


def _header(file: Path, tensors: dict[str, Tensor], todo: Plan) -> bytes:
    with file.open("rb") as opened:
        raw = opened.read(struct.unpack("<Q", opened.read(8))[0])
    entries: dict[str, object] = {}
    if metadata := json.loads(raw).get("__metadata__"):
        entries["__metadata__"] = metadata
    place = 0
    for name, tensor in _in_order(tensors):
        dtype = _target(todo, tensor)
        end = place + _size(tensor, dtype)
        entries[name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _in_order(tensors: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    return sorted(tensors.items(), key=lambda item: item[1].begin)


def _target(todo: Plan, tensor: Tensor) -> str:
    return _NAMES[todo.dtype] if todo.dtype and tensor.dtype in TYPES else tensor.dtype


def _size(tensor: Tensor, dtype: str) -> int:
    if dtype == tensor.dtype:
        return tensor.bytes
    return tensor.numbers * TYPES[dtype].itemsize


def _refuse_quantised(tensor: Tensor) -> None:
    if tensor.dtype not in TYPES:
        raise StudioError(
            "Quantised base",
            f"The base's weights are stored as {tensor.dtype}; rounding the sum back to that "
            "would round the training away.",
            "Merge into the 16-bit model that the quantised one was made from.",
        )


def _unpaired(adapter: Path, count: int) -> StudioError:
    return StudioError(
        "An adapter that can't be merged",
        f"{abs(count)} weights of {adapter.name} have no place in the model.",
        "Choose the model that the adapter was trained on.",
    )
