"""What a safetensors file says of itself: names, types, shapes and where the bytes lie."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_HEADER = 100_000_000
"""Bytes; the bound of the format's own reader (safetensors documentation, "Format")."""


@dataclass(frozen=True)
class Tensor:
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


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        header = json.loads(content)
    except ValueError as error:
        raise Unreadable("its header is no JSON") from error
    if not isinstance(header, dict):
        raise Unreadable("its header is no table")
    header.pop("__metadata__", None)
    return header


def _tensor(path: Path, name: str, entry: Any, start: int) -> Tensor:
    try:
        begin, end = (int(offset) for offset in entry["data_offsets"])
        shape = tuple(int(size) for size in entry["shape"])
        dtype = str(entry["dtype"])
        if not 0 <= begin <= end:
            raise ValueError(f"{begin} to {end}")
    except (TypeError, KeyError, ValueError) as error:
        raise Unreadable(f"its entry for {name} makes no sense") from error
    return Tensor(name, dtype, shape, path, start + begin, start + end)
