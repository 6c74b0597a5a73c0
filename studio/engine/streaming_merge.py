"""Base + adapter written tensor by tensor, so that a model never has to fit in memory."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from safetensors import safe_open

from studio.core.errors import StudioError
from studio.engine import adapter_changes
from studio.engine.adapter_changes import Change, Parts
from studio.library import adapter_files, foreign
from studio.library.models import config_of, weights
from studio.library.models.tensors import Tensor

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_NAMES = {dtype: name for name, dtype in TYPES.items()}
_COPY_BYTES = 1 << 22
_PIECE_VALUES = 1 << 22

Tick = Callable[[float], None]
"""Told the share done so far, up to 1; may raise to break off."""


class Quantize(Protocol):
    """Turns the base's weights into those that the trained model held."""

    def __call__(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """One of them; both in float32, and whole."""

    def touches(self, name: str, stored: torch.dtype | None) -> bool:
        """Whether it makes another of a weight that is stored in this type (None: no type that
        is computed with)."""


@dataclass(frozen=True)
class Output:
    """One tensor to be written: the base's tensor it comes from, its shape and type
    (safetensors' words), what the adapter does to it, and the file that it goes into."""

    name: str
    source: Tensor
    shape: tuple[int, ...]
    dtype: str
    change: Change | None

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        if self.dtype == self.source.dtype and self.shape == self.source.shape:
            return self.source.bytes
        return math.prod(self.shape) * TYPES[self.dtype].itemsize


@dataclass(frozen=True)
class Plan:
    """All that is to be written, and what config.json has to say of it that the base's doesn't."""

    adapter: Path | None
    outputs: tuple[Output, ...]
    settings: dict[str, object]

    @property
    def bytes(self) -> int:
        """Size of the tensors to be written."""
        return sum(output.bytes for output in self.outputs)


def plan(base: Path, adapter: Path | None, dtype: torch.dtype | None = None) -> Plan:
    """Match every tensor of the adapter with the weight it changes; without one nothing changes but
    the number format. `dtype` None keeps the base's.

    A head that was tied to the embeddings is written apart once one of the two differs. Raises
    StudioError when adapter and base don't fit, the adapter can't be merged, or the base is
    quantised.
    """
    tensors, config = weights.read(base)[0], config_of(base)
    settings = _settings_of(config)
    embeddings = adapter_changes.embeddings(tensors)
    tied = bool(embeddings) and bool(settings.get("tie_word_embeddings", _no_head(tensors)))
    changes = (
        adapter_changes.changes(
            adapter, tensors, tied=tied, model_type=str(config.get("model_type", ""))
        )
        if adapter
        else {}
    )
    keys = adapter_files.read_tensors(adapter) if adapter else {}
    said: dict[str, object] = {}
    if tied and _parted(changes, embeddings):
        said["tie_word_embeddings"] = False
        head = _head_name(changes, tensors, embeddings)
        tensors.setdefault(head, tensors[embeddings])
    outputs = [
        _output(name, tensor, changes.get(name), keys, dtype) for name, tensor in tensors.items()
    ]
    rows = next((out.shape[0] for out in outputs if out.name == embeddings), 0)
    if rows and rows != tensors[embeddings].shape[0]:
        said["vocab_size"] = rows
    return Plan(adapter, tuple(outputs), said)


def write(
    todo: Plan, folder: Path, tick: Tick = lambda share: None, held: Quantize | None = None
) -> None:
    """Write the merged weights into `folder`, cut into files as the base is.

    Sums are computed in float32 and rounded once. `held` turns a base's weight into what the
    adapter was trained on, where that was something else (a quantized one).
    """
    whole, done = max(1, todo.bytes), 0
    with _parts(todo.adapter) as parts:
        for file, outputs in _by_file(todo).items():
            with (folder / file.name).open("wb") as out:
                out.write(_header(file, outputs))
                for output in outputs:
                    _write_tensor(out.write, output, parts, held)
                    done += output.bytes
                    tick(done / whole)


def _parts(adapter: Path | None) -> contextlib.AbstractContextManager[Parts]:
    """The adapter's tensors; nothing is asked of them where there is none."""
    if adapter is None:
        return contextlib.nullcontext(cast(Parts, None))
    return cast(
        contextlib.AbstractContextManager[Parts], safe_open(adapter / adapter_files.WEIGHTS, "pt")
    )


def _output(
    name: str, tensor: Tensor, change: Change | None, keys: dict[str, Tensor],
    dtype: torch.dtype | None,
) -> Output:  # fmt: skip
    if change:
        _refuse_quantised(tensor)
    shape = adapter_changes.shape_of(change, keys, tensor.shape) if change else tensor.shape
    wanted = _NAMES[dtype] if dtype and tensor.dtype in TYPES else tensor.dtype
    return Output(name, tensor, shape, wanted, change)


def _settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """The language model's part of a config."""
    text = config.get("text_config")
    return config | text if isinstance(text, dict) else config


def _no_head(tensors: dict[str, Tensor]) -> bool:
    return not any(map(adapter_changes.is_head, tensors))


def _parted(changes: dict[str, Change], embeddings: str) -> bool:
    """Whether head and embeddings are no longer the same. Rows of trained tokens stay shared."""
    if any(map(adapter_changes.is_head, changes)):
        return True
    change = changes.get(embeddings)
    return bool(change and (change.whole or change.a))


def _head_name(changes: dict[str, Change], tensors: dict[str, Tensor], embeddings: str) -> str:
    for name in (*changes, *tensors):
        if adapter_changes.is_head(name):
            return name
    return "embed_out.weight" if embeddings.endswith("embed_in.weight") else "lm_head.weight"


def _write_tensor(
    put: Callable[[memoryview], object], output: Output, parts: Parts, held: Quantize | None
) -> None:
    change, source = output.change, output.source
    other = held if held and held.touches(output.name, TYPES.get(source.dtype)) else None
    if change is None and output.dtype == source.dtype and other is None:
        _copy(put, source)
        return
    for rows in _pieces(output, whole=other is not None):
        weight = torch.empty(0)
        if change is None or not change.whole:
            weight = _read(source, rows).float()
        if other is not None:
            weight = other(output.name, weight)
        if change is not None:
            weight = change.apply(weight, parts, rows)
        _put(put, weight.to(TYPES[output.dtype]), output)


def _pieces(output: Output, *, whole: bool) -> Iterator[slice]:
    """The rows that are worked on at once: all of them, or what finds room in a small buffer."""
    change, shape = output.change, output.shape
    if whole or len(shape) != 2 or (change is not None and not change.by_rows):
        yield slice(None)
        return
    rows = max(1, _PIECE_VALUES // max(1, shape[1]))
    for begin in range(0, shape[0], rows):
        yield slice(begin, min(shape[0], begin + rows))


def _put(put: Callable[[memoryview], object], rounded: torch.Tensor, output: Output) -> None:
    if not torch.isfinite(rounded).all():
        raise StudioError(
            "The merge overflows",
            f"In {output.name} numbers grow beyond what {output.dtype} can hold.",
            "Merge into bfloat16 or float32, or train with a lower learning rate.",
        )
    values = rounded.contiguous().reshape(-1).view(torch.uint8).numpy()
    put(memoryview(values))  # type: ignore[arg-type]


def _copy(put: Callable[[memoryview], object], tensor: Tensor) -> None:
    with tensor.file.open("rb") as source:
        source.seek(tensor.begin)
        left = tensor.bytes
        while left:
            chunk = source.read(min(left, _COPY_BYTES))
            if not chunk:
                raise _cut_off(tensor)
            put(memoryview(chunk))
            left -= len(chunk)


def _read(tensor: Tensor, rows: slice) -> torch.Tensor:
    """A copy of the tensor's rows (all of them: without ends), in its own type."""
    begin, shape = tensor.begin, tensor.shape
    if rows.stop is not None:
        row = shape[1] * TYPES[tensor.dtype].itemsize
        begin, shape = begin + rows.start * row, (rows.stop - rows.start, shape[1])
    content = bytearray(math.prod(shape) * TYPES[tensor.dtype].itemsize)
    with tensor.file.open("rb") as source:
        source.seek(begin)
        if source.readinto(content) != len(content):
            raise _cut_off(tensor)
    return torch.frombuffer(content, dtype=TYPES[tensor.dtype]).view(shape)


def _cut_off(tensor: Tensor) -> StudioError:
    return StudioError(
        "The base changed meanwhile",
        f"{tensor.file.name} ends before the weights of {tensor.name} do.",
        "Copy or download the model again, then merge once more.",
    )


def _by_file(todo: Plan) -> dict[Path, list[Output]]:
    found: dict[Path, list[Output]] = {}
    for output in sorted(todo.outputs, key=lambda one: (one.source.file, one.source.begin)):
        found.setdefault(output.source.file, []).append(output)
    return found


def _header(file: Path, outputs: list[Output]) -> bytes:
    with file.open("rb") as opened:
        raw = opened.read(struct.unpack("<Q", opened.read(8))[0])
    entries: dict[str, object] = {}
    metadata = foreign.parse(raw).get("__metadata__")
    if isinstance(metadata, dict):
        entries["__metadata__"] = {name: str(value) for name, value in metadata.items()}
    place = 0
    for output in outputs:
        end = place + output.bytes
        entries[output.name] = {
            "dtype": output.dtype, "shape": output.shape, "data_offsets": [place, end]
        }  # fmt: skip
        place = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _refuse_quantised(tensor: Tensor) -> None:
    if tensor.dtype not in TYPES:
        raise StudioError(
            "Quantised base",
            f"The base's weights are stored as {tensor.dtype}; rounding the sum back to that "
            "would round the training away.",
            "Merge into the 16-bit model that the quantised one was made from.",
        )
