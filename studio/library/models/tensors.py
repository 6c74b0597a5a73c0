"""Safetensors files: names, types, shapes and where the bytes lie; and writing a small one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from studio.library import foreign

SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one number, by the format's name for its type."""

LONGEST_HEADER = 100_000_000
"""Bytes; the bound of the format's own reader (safetensors documentation, "Format")."""


class Tensor(msgspec.Struct, frozen=True):
    """One tensor: `dtype` as the format spells it (BF16, F32, …); `begin` and `end` are byte
    offsets in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    begin: int
    end: int

    @property
    def numbers(self) -> int:
        """How many numbers the tensor holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        return self.end - self.begin


class Unreadable(Exception):
    """A file that is no whole safetensors file; the text says why."""


def read(path: Path) -> list[Tensor]:
    """The tensors of one file, in the order of the header. Raises Unreadable or OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= LONGEST_HEADER:
            raise Unreadable("it does not begin like a safetensors file")
        if size < 8 + length:
            raise Unreadable(f"it ends inside its header, after {size:,} bytes")
        header = _parsed(file.read(length))
    tensors = [_tensor(path, name, entry, 8 + length) for name, entry in header.items()]
    whole = max((tensor.end for tensor in tensors), default=8 + length)
    if size < whole:
        raise Unreadable(f"it has {size:,} of {whole:,} bytes")
    return tensors


def write(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """A safetensors file of tensors by name: dtype as the format spells it, shape, and bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape, content) in tensors.items():
        begin, end = end, end + len(content)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)  # the numbers begin where any type may
    with path.open("wb") as file:
        file.write(len(told).to_bytes(8, "little") + told)
        for _, _, content in tensors.values():
            file.write(content)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        header = foreign.parse(content)
    except ValueError as error:
        raise Unreadable("its header is no JSON") from error
    if not isinstance(header, dict):
        raise Unreadable("its header is no table")
    header.pop("__metadata__", None)
    return header


class _Entry(msgspec.Struct):
    """One tensor as the header tells it."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def _tensor(path: Path, name: str, entry: Any, start: int) -> Tensor:
    try:
        told = msgspec.convert(entry, _Entry)
        (begin, end), shape = told.data_offsets, told.shape
        if not 0 <= begin <= end or min(shape, default=0) < 0:
            raise ValueError(f"{begin} to {end}")
        size = SIZES.get(told.dtype)
        if size is not None and math.prod(shape) * size != end - begin:
            raise ValueError(f"{end - begin} bytes")
    except ValueError as error:
        raise Unreadable(f"its entry for {name} makes no sense") from error
    return Tensor(name, told.dtype, shape, path, start + begin, start + end)
