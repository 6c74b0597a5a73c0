"""Compiles the pieces of layers by torch's own compiler, in a process of its own.

Run as `python -m studio.engine.fast.compiler FOLDER DTYPE [DTYPE …]`: FOLDER then has a library
for each piece and format. They hold for any number of rows, any width and any number of threads.
The compiler, its memory and its caches are gone when this process ends.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from studio.engine.fast import pieces

PEAK_BYTES = 850 * 1024**2
"""What this process and the compiler under it take together, as measured."""
ROWS, WIDTH, HEADS = 1000, 576, 9
"""Sizes to try with; unequal, since equal ones would be taken for the same."""


class _Module(nn.Module):
    """What torch exports is a module."""

    def __init__(self, piece: pieces.Piece) -> None:
        super().__init__()
        self._piece = piece

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self._piece(*tensors)


def examples(dtype: torch.dtype) -> dict[pieces.Piece, tuple[torch.Tensor, ...]]:
    """What each piece is called with."""

    def of(*shape: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.ones(shape, dtype=kind)

    x, weight, root = of(ROWS, WIDTH), of(WIDTH), of(ROWS, 1, kind=torch.float32)
    angles = of(ROWS, 1, WIDTH)
    return {
        pieces.norm: (x, weight, of(1, kind=torch.float32)),
        pieces.normed: (x, root, weight),
        pieces.norm_backward: (x, root, weight, x.clone()),
        pieces.gate_backward: (x, x.clone(), x.clone()),
        pieces.rotated: (of(ROWS, HEADS, WIDTH), angles, angles.clone()),
    }


def free(tensors: Sequence[torch.Tensor], half: bool) -> tuple[dict[int, Any], ...]:
    """Which of their dimensions may be of any size; a `half` of the width is taken of some."""
    if half:
        width: Any = 2 * torch.export.Dim("half", min=2, max=1 << 20)
    else:
        width = torch.export.Dim("width", min=2, max=1 << 20)
    names = {
        ROWS: torch.export.Dim("rows", min=2, max=1 << 24),
        WIDTH: width,
        HEADS: torch.export.Dim("heads", min=1, max=1 << 12),
    }
    return tuple(
        {place: names[size] for place, size in enumerate(tensor.shape) if size in names}
        for tensor in tensors
    )


@torch.no_grad()
def compile_into(folder: Path, dtype: torch.dtype) -> None:
    """A library for each piece in this format."""
    from torch import _inductor

    for piece, tensors in examples(dtype).items():
        name = piece.__name__
        shapes = (free(tensors, half=piece is pieces.rotated),)
        exported = torch.export.export(_Module(piece), tensors, dynamic_shapes=shapes)
        library = _inductor.aot_compile(exported.module(), tensors)
        shutil.copy(str(library), folder / f"{name}-{str(dtype).removeprefix('torch.')}.so")


def main() -> None:
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="compiling-", dir=folder) as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        from torch._inductor import config

        config.cpp.dynamic_threads = True
        config.aot_inductor.compile_wrapper_opt_level = "O0"  # half the time to compile
        for name in sys.argv[2:]:
            compile_into(folder, getattr(torch, name))


if __name__ == "__main__":
    main()
