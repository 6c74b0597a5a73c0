"""The element-wise parts of layers, each a plain function of tensors without a gradient of its own.

They are what compiler.py makes one pass over memory each of: the mathematics of layers.py and
rotary.py, with fewer roundings to 16 bits in between.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import silu

Piece = Callable[..., tuple[torch.Tensor, ...]]


def norm(
    x: torch.Tensor, weight: torch.Tensor, epsilon: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The root mean square norm of rows, and what each row was multiplied by, of shape (rows, 1);
    `epsilon` has one value."""
    root = x.float().square().mean(-1, keepdim=True).add(epsilon).rsqrt()
    return (x.float() * root).to(x.dtype) * weight, root


def normed(x: torch.Tensor, root: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor]:
    """The norm once more, from its root."""
    return ((x.float() * root).to(x.dtype) * weight,)


def norm_backward(
    x: torch.Tensor, root: torch.Tensor, weight: torch.Tensor, above: torch.Tensor
) -> tuple[torch.Tensor]:
    """The gradient of the norm's input."""
    narrow, wide = x.float() * root, (above * weight).float()
    share = (wide * narrow).mean(-1, keepdim=True)
    return (((wide - narrow * share) * root).to(x.dtype),)


def gate_backward(
    gates: torch.Tensor, values: torch.Tensor, above: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of both factors of silu(gates) * values."""
    return torch.ops.aten.silu_backward(above * values, gates), silu(gates) * above


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor]:
    """`x` (rows, heads, width) turned by its row's angles, (rows, 1, width) each."""
    half = x.shape[-1] // 2
    first = x[..., :half] * cos[..., :half] - x[..., half:] * sin[..., :half]
    second = x[..., half:] * cos[..., half:] + x[..., :half] * sin[..., half:]
    return (torch.cat((first, second), -1),)
