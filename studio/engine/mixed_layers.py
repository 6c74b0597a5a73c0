"""One layer of a mix: the pairs of several adapters become one pair, by PEFT's own arithmetic.

The sums, prunings and votes are PEFT's functions; what add_weighted_adapter does around them is
done here for one layer at a time, so that no model has to be there.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from peft.utils import merge_utils

from studio.core.mixing import Mix, method


@dataclass(frozen=True)
class Piece:
    """What one adapter brings into a layer, in float32: scale x B @ A, `weight` times."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    weight: float

    def delta(self) -> torch.Tensor:
        """What the adapter changes in the layer's weights, at weight 1."""
        return (self.b @ self.a) * self.scale


def mixed(
    mix: Mix, layer: str, pieces: Sequence[Piece], rank: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B of the mix in this layer, of `rank` (filled up with zeros), to be scaled by 1.

    What is dropped at random depends on the seed and the layer's name alone, so that the order of
    layers, and which others there are, change nothing.
    """
    with _drawn(mix, layer) if method(mix.method).random else nullcontext():
        a, b = _mixed(mix, pieces, rank)
    return _filled(a, rank, 0), _filled(b, rank, 1)


@contextmanager
def _drawn(mix: Mix, layer: str) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(mix, layer))
        yield


def seed_of(mix: Mix, layer: str) -> int:
    """The seed for what is dropped in this layer."""
    told = hashlib.sha256(f"{mix.seed} {layer}".encode()).digest()
    return int.from_bytes(told[:8], "little") >> 1


def distance(pieces: Sequence[Piece], a: torch.Tensor, b: torch.Tensor) -> tuple[float, float]:
    """The squared lengths of what B @ A lacks of the weighted sum, and of that sum.

    Taken from the small products of the halves; the layer itself is never built.
    """
    lefts = [piece.b * (piece.weight * piece.scale) for piece in pieces]
    rights = [piece.a for piece in pieces]
    whole = _squared(lefts, rights)
    return max(0.0, _squared([*lefts, -b], [*rights, a])), whole


def _squared(lefts: Sequence[torch.Tensor], rights: Sequence[torch.Tensor]) -> float:
    """The squared length of the sum of left @ right."""
    left, right = torch.cat(list(lefts), 1).double(), torch.cat(list(rights), 0).double()
    return float(((left.T @ left) * (right @ right.T)).sum())


def _mixed(mix: Mix, pieces: Sequence[Piece], rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = method(mix.method)
    if chosen.exact:
        return (
            torch.cat([piece.a * piece.weight * piece.scale for piece in pieces], 0),
            torch.cat([piece.b for piece in pieces], 1),
        )
    if chosen.halves:
        return _halves(mix, pieces)
    if chosen.pruned:
        weights = torch.tensor([piece.weight for piece in pieces])
        name = mix.method.removesuffix("_svd")
        whole = _combined(mix, name, [piece.delta() for piece in pieces], weights)
        return _compressed(whole, rank)
    return _compressed_sum(pieces, rank)


def _halves(mix: Mix, pieces: Sequence[Piece]) -> tuple[torch.Tensor, torch.Tensor]:
    """Each half gets the root of the weight, and A its sign too."""
    roots = [math.sqrt(abs(piece.weight * piece.scale)) for piece in pieces]
    signs = [1 if piece.weight * piece.scale >= 0 else -1 for piece in pieces]
    signed = torch.tensor([root * sign for root, sign in zip(roots, signs, strict=True)])
    a = _combined(mix, mix.method, [piece.a for piece in pieces], signed)
    return a, _combined(mix, mix.method, [piece.b for piece in pieces], torch.tensor(roots))


def _combined(
    mix: Mix, name: str, tensors: list[torch.Tensor], weights: torch.Tensor
) -> torch.Tensor:
    """PEFT's function of this name over tensors of one shape."""
    match name:
        case "linear":
            found = merge_utils.task_arithmetic(tensors, weights)
        case "ties":
            found = merge_utils.ties(tensors, weights, mix.density, _sign(mix))
        case "dare_linear":
            found = merge_utils.dare_linear(tensors, weights, mix.density)
        case "dare_ties":
            found = merge_utils.dare_ties(tensors, weights, mix.density, _sign(mix))
        case "magnitude_prune":
            found = merge_utils.magnitude_prune(tensors, weights, mix.density)
        case _:
            raise ValueError(f"no method {name}")
    return found


def _sign(mix: Mix) -> Literal["total", "frequency"]:
    return "frequency" if mix.sign == "frequency" else "total"


def _compressed(whole: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The pair of this rank that is nearest to a whole layer."""
    u, s, v = torch.linalg.svd(whole, full_matrices=False)
    return v[:rank], u[:, :rank] * s[:rank]


def _compressed_sum(pieces: Sequence[Piece], rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest pair to the weighted sum, through its halves: only a matrix as wide as all ranks
    together is taken apart, never one as large as the layer."""
    left = torch.cat([piece.b for piece in pieces], 1)
    right = torch.cat([piece.a * (piece.weight * piece.scale) for piece in pieces], 0)
    q_left, r_left = torch.linalg.qr(left)
    q_right, r_right = torch.linalg.qr(right.T)
    u, s, v = torch.linalg.svd(r_left @ r_right.T, full_matrices=False)
    return (v[:rank] @ q_right.T), (q_left @ u[:, :rank]) * s[:rank]


def _filled(half: torch.Tensor, rank: int, dim: int) -> torch.Tensor:
    """The half with zeros up to `rank`, so that every layer of the adapter has one rank."""
    missing = rank - half.shape[dim]
    if missing <= 0:
        return half.contiguous()
    shape = list(half.shape)
    shape[dim] = missing
    return torch.cat([half, half.new_zeros(shape)], dim).contiguous()
