"""Pieces (pieces.py) that were compiled, as this process uses them; without any, none is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

LEAST_ROWS = 2
_known: dict[tuple[str, torch.dtype], Any] = {}
_at_work = False


def load(folder: Path) -> None:
    """Make the libraries of this folder known, `NAME-DTYPE.so` each. Raises RuntimeError."""
    for path in sorted(folder.glob("*.so")):
        name, _, dtype = path.stem.partition("-")
        runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), 1)
        _known[name, getattr(torch, dtype)] = runner


@contextmanager
def at_work(wanted: bool) -> Iterator[None]:
    """Inside of it those that are known are used, if they are wanted."""
    global _at_work
    before, _at_work = _at_work, wanted
    try:
        yield
    finally:
        _at_work = before


def run(name: str, *tensors: torch.Tensor) -> Sequence[torch.Tensor] | None:
    """What the piece makes of tensors whose first dimension counts rows; None where it isn't at
    work for their format or shape. It is told neither strides nor formats, so both are seen to."""
    if not _at_work:
        return None
    runner = _known.get((name, tensors[0].dtype))
    if runner is None or tensors[0].shape[0] < LEAST_ROWS or tensors[0].device.type != "cpu":
        return None
    made: list[torch.Tensor] = runner.run([tensor.contiguous() for tensor in tensors])
    return made


@lru_cache
def number(value: float) -> torch.Tensor:
    """A number as pieces take it."""
    return torch.tensor([value])
