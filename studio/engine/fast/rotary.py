"""Rotary positions as one operation that keeps the angles alone."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import torch
from torch import nn

from studio.engine.fast import native, slabs

_FUNCTION = "apply_rotary_pos_emb"
_PLAIN = "_studio_plain"
Rotation = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def put_on(model: nn.Module) -> None:
    """Have the functions that this model's layers turn queries and keys with compute in this way,
    where they then say just the same."""
    for module in _files(model):
        plain = getattr(module, _FUNCTION)
        if not hasattr(plain, _PLAIN) and _says_the_same(plain):
            setattr(module, _FUNCTION, _instead_of(plain))


def take_off(model: nn.Module) -> None:
    """Undo it: these functions belong to all models of the kind in this process."""
    for module in _files(model):
        found = getattr(module, _FUNCTION)
        setattr(module, _FUNCTION, getattr(found, _PLAIN, found))


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """`x` (lines, heads, tokens, width) turned by the angles (lines or 1, tokens, width) of its
    tokens, which nothing is learnt of."""
    turned: torch.Tensor = _Rotate.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return turned


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin, kept=True)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        back = sin.roll(sin.shape[-1] // 2, -1).neg_()
        return _rotated(gradients[0], cos, back), None, None


def _rotated(
    x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, kept: bool = False
) -> torch.Tensor:
    """Of the same layout as queries have: the heads of a token lie beside one another. Attention
    keeps what is turned on the way forward."""
    x = x.transpose(1, 2)
    if x.shape[0] == cos.shape[0]:
        rows = x.reshape(-1, *x.shape[2:])
        angles = (one.reshape(-1, 1, one.shape[-1]) for one in (cos, sin))
        if made := native.run("rotated", rows, *angles):
            return made[0].view(x.shape).transpose(1, 2)
    cos, sin, half = cos.unsqueeze(2), sin.unsqueeze(2), x.shape[-1] // 2
    new = slabs.empty if kept else slabs.passing
    turned = torch.mul(x, cos, out=new(x.shape, x.dtype, x.device))
    turned[..., :half].sub_(x[..., half:] * sin[..., :half])
    turned[..., half:].add_(x[..., :half] * sin[..., half:])
    return turned.transpose(1, 2)


def _instead_of(plain: Rotation) -> Rotation:
    @wraps(plain)
    def turn(
        q: torch.Tensor,
        k: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        *more: Any,
        **how: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        whole = cos.shape[-1] == q.shape[-1] and cos.dtype == q.dtype == k.dtype
        if more or how or not whole or q.device.type != "cpu":
            return plain(q, k, cos, sin, *more, **how)
        return rotate(q, cos, sin), rotate(k, cos, sin)

    setattr(turn, _PLAIN, plain)
    return turn


def _files(model: nn.Module) -> list[Any]:
    """The modules that the model's layers were written in, those that turn anything."""
    names = {type(module).__module__ for module in model.modules()}
    found = [sys.modules[name] for name in sorted(names) if name in sys.modules]
    return [module for module in found if inspect.isfunction(getattr(module, _FUNCTION, None))]


def _says_the_same(plain: Rotation) -> bool:
    """On numbers drawn without touching torch's own generator."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    q, k, cos, sin = draw(1, 4, 7, 16), draw(1, 2, 7, 16), draw(1, 7, 16), draw(1, 7, 16)
    try:
        wanted, got = plain(q, k, cos, sin), (rotate(q, cos, sin), rotate(k, cos, sin))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return all(torch.allclose(*pair, atol=1e-5) for pair in zip(wanted, got, strict=True))
