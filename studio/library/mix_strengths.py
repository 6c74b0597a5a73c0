"""How much each adapter of a mix changes, where, and whether they pull the same way."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from studio.core.errors import StudioError
from studio.library import mixing
from studio.library.mixing import Pair
from studio.library.models.tensors import Tensor

Array = npt.NDArray[np.float32]
_BLOCK = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")
_TYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
ENDS = "ends"


class Strengths(msgspec.Struct, frozen=True, kw_only=True):
    """The lengths of what each adapter changes at weight 1, in `blocks` of layers and on the
    whole; `alike` is the cosine between each two: 1 the same way, 0 nothing in common, -1 against
    each other."""

    blocks: tuple[str, ...]
    by_block: tuple[tuple[float, ...], ...]
    whole: tuple[float, ...]
    alike: tuple[tuple[float, ...], ...]

    def shares(self, weights: Sequence[float]) -> list[float]:
        """Each adapter's part of all that is changed, at these weights; they add up to 1."""
        parts = [abs(w) * length for w, length in zip(weights, self.whole, strict=True)]
        total = sum(parts)
        return [part / total if total else 0.0 for part in parts]


def strengths(
    folders: Sequence[Path], cancelled: Callable[[], bool] = lambda: False
) -> Strengths | None:
    """Read the adapters' weights; None once `cancelled()`. Lengths come from the small products of
    the halves, no layer is built. Raises StudioError where an adapter can't be read."""
    each = [mixing.pairs(folder) for folder in folders]
    layers = list(dict.fromkeys(name for pairs in each for name in pairs))
    blocks = _blocks(layers)
    count = len(folders)
    squares = np.zeros((count, len(blocks)))
    products = np.zeros((count, count))
    for layer in layers:
        if cancelled():
            return None
        place = blocks.index(block_of(layer))
        found = {at: _halves(pairs[layer]) for at, pairs in enumerate(each) if layer in pairs}
        for one, (a, b) in found.items():
            for other, (c, d) in found.items():
                if other < one or a.shape[1] != c.shape[1] or b.shape[0] != d.shape[0]:
                    continue
                product = float(((b.T @ d) * (a @ c.T)).sum())
                products[one, other] += product
                if one == other:
                    squares[one, place] += product
    lengths = np.sqrt(np.maximum(products.diagonal(), 0.0))
    return Strengths(
        blocks=tuple(blocks),
        by_block=tuple(tuple(map(float, row)) for row in np.sqrt(np.maximum(squares, 0.0))),
        whole=tuple(map(float, lengths)),
        alike=_cosines(products, lengths),
    )


def block_of(layer: str) -> str:
    """The number of the block that a layer is in, or ENDS for embeddings and head."""
    match = _BLOCK.search(layer)
    return match[1] if match else ENDS


def _blocks(layers: Sequence[str]) -> list[str]:
    found = {block_of(layer) for layer in layers}
    numbers = sorted(int(one) for one in found if one != ENDS)
    return [*map(str, numbers), *([ENDS] if ENDS in found else [])]


def _cosines(
    products: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64]
) -> tuple[tuple[float, ...], ...]:
    both = products + np.triu(products, 1).T
    sizes = np.outer(lengths, lengths)
    found = np.divide(both, sizes, out=np.zeros_like(both), where=sizes > 0)
    return tuple(tuple(float(one) for one in row) for row in np.clip(found, -1.0, 1.0))


def _halves(pair: Pair) -> tuple[Array, Array]:
    return _values(pair.a), _values(pair.b) * np.float32(pair.scale)


def _values(tensor: Tensor) -> Array:
    if tensor.dtype == "BF16":
        raw = np.fromfile(tensor.file, np.uint16, tensor.numbers, offset=tensor.begin)
        wide: Array = (raw.astype(np.uint32) << 16).view(np.float32)
    elif kind := _TYPES.get(tensor.dtype):
        wide = np.fromfile(tensor.file, kind, tensor.numbers, offset=tensor.begin).astype(
            np.float32
        )
    else:
        raise StudioError(
            "Numbers of another kind",
            f"{tensor.file.parent.name} stores its weights as {tensor.dtype}.",
            "Save it in 16 or 32 bits.",
        )
    return wide.reshape(tensor.shape)


def words(found: Strengths, names: Sequence[str]) -> str:
    """Whether the adapters help or disturb each other: the pair that has the most to do with each
    other, in a sentence."""
    pairs = [
        (found.alike[one][other], one, other)
        for one in range(len(names))
        for other in range(one + 1, len(names))
    ]
    if not pairs:
        return ""
    cosine, one, other = max(pairs, key=lambda each: abs(each[0]))
    both = f"{names[one]} and {names[other]}"
    if math.isclose(cosine, 1.0, abs_tol=1e-3):
        return f"{both} change the same thing; the sum is one of them, stronger."
    if cosine > 0.2:
        return f"{both} pull the same way in part (cosine {cosine:.2f}): their sum is stronger."
    if cosine < -0.2:
        return f"{both} pull against each other (cosine {cosine:.2f}): TIES may do better."
    return f"They hardly touch each other (cosine {abs(cosine):.2f} at most), which mixes well."
