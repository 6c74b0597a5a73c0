"""Which tensors a safetensors folder holds, from the headers alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError

MAX_HEADER_BYTES = 100_000_000
"""The format's own bound (safetensors documentation, "Format")."""


class Tensor(msgspec.Struct, frozen=True):
    """One tensor: `dtype` as the format spells it (BF16, F32, …), `start` and `end` are byte
    offsets into the file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(file: Path) -> tuple[dict[str, Tensor], bytes]:
    """The tensors of one file and its raw header, its eight length bytes included.

    Raises StudioError when the file is cut short or isn't safetensors.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            head = opened.read(8)
            length = struct.unpack("<Q", head)[0]
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise ValueError("the header is longer than the file")
            raw = opened.read(length)
        tensors = _tensors(file, json.loads(raw), 8 + length)
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, str(error)) from error
    if any(tensor.end > size for tensor in tensors.values()):
        raise _damaged(file, "it ends before its last tensor does")
    return tensors, head + raw


def of_folder(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a model or adapter folder. Raises StudioError as `read_header` does."""
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= read_header(file)[0]
    return found


def _tensors(file: Path, header: dict[str, Any], origin: int) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        if not 0 <= start <= end:
            raise ValueError(f"the place of {name} makes no sense")
        shape = tuple(int(n) for n in entry["shape"])
        found[name] = Tensor(file, str(entry["dtype"]), shape, origin + start, origin + end)
    return found


def _damaged(file: Path, why: str) -> StudioError:
    return StudioError(
        "Damaged file",
        f"{file.name} can't be read as safetensors: {why}.",
        "Copy or download the folder again.",
    )
