"""Norms and gated feed-forward layers that keep what they are given and no more.

Backwards they compute their element-wise parts again, and so do the adapters behind them, which
then needn't keep their own input. Modules are known by their parts, and tried before they are
believed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import nn

from studio.engine.fast import made, native, slabs

_TOKENS = 7
_NEAR = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}


@torch.no_grad()
def put_on(model: nn.Module) -> int:
    """Have each norm and gated layer that is of a known kind compute in this way; how many."""
    count = 0
    for module in model.modules():
        forward = (
            _norm_forward if _is_norm(module) else _gated_forward if _is_gated(module) else None
        )
        if forward is not None and _says_the_same(module, forward):
            module.forward = MethodType(forward, module)
            count += 1
    return count


def norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Root mean square norm of the last dimension, in float32, as wide as `x` and `weight` are."""
    kept = slabs.keep(x) if torch.is_grad_enabled() else x
    result, root = _Norm.apply(x, kept, weight, epsilon)  # type: ignore[no-untyped-call]
    return made.mark(result, (kept, root, weight), _normed)


def gate(gates: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """silu(gates) * values."""
    result: torch.Tensor = _Gate.apply(gates, values)  # type: ignore[no-untyped-call]
    return made.mark(result, (gates, values), _gated)


def _normed(x: torch.Tensor, root: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    if found := native.run("normed", _rows(x), _rows(root), weight):
        return found[0].view(x.shape)
    return _narrow(_wide(x).mul_(root), x.dtype).mul_(weight)


def _wide(x: torch.Tensor) -> torch.Tensor:
    """A copy in float32: numbers of two widths in one operation take ten times as long on a
    processor."""
    return slabs.passing(x.shape, torch.float32, x.device).copy_(x)


def _narrow(wide: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if wide.dtype == dtype:
        return wide
    return slabs.passing(wide.shape, dtype, wide.device).copy_(wide)


def _gated(gates: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return _silu(gates).mul_(values)


def _silu(gates: torch.Tensor) -> torch.Tensor:
    result = slabs.passing(gates.shape, gates.dtype, gates.device)
    torch.ops.aten.silu.out(gates, out=result)
    return result


def _rows(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(-1, x.shape[-1])


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, kept: torch.Tensor, weight: torch.Tensor, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if found := native.run("norm", _rows(x), weight, native.number(epsilon)):
            result, root = found[0].view(x.shape), found[1].view(*x.shape[:-1], 1)
            ctx.save_for_backward(kept, root, weight)
            ctx.mark_non_differentiable(root)
            return result, root
        wide = _wide(x)
        length: torch.Tensor = torch.linalg.vector_norm(wide, 2, -1, True)
        root = slabs.keep(length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_())
        ctx.save_for_backward(kept, root, weight)
        ctx.mark_non_differentiable(root)
        return _narrow(wide.mul_(root), x.dtype).mul_(weight), root

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, root, weight = ctx.saved_tensors
        parts = _rows(x), _rows(root), weight, _rows(gradients[0])
        if not ctx.needs_input_grad[2] and (found := native.run("norm_backward", *parts)):
            return found[0].view(x.shape), None, None, None
        narrow, above = _wide(x).mul_(root), gradients[0]
        for_weight = None
        if ctx.needs_input_grad[2]:
            products = (above.float() * narrow).flatten(0, -2)
            for_weight = (products.new_ones(len(products)) @ products).to(weight.dtype)
        room = slabs.passing(x.shape, x.dtype, x.device)
        wide = _wide(torch.mul(above, weight, out=room))
        both = torch.mul(wide, narrow, out=slabs.passing(x.shape, torch.float32, x.device))
        share = both @ wide.new_full((x.shape[-1],), 1.0 / x.shape[-1])
        for_x = _narrow(wide.sub_(narrow.mul_(share[..., None])).mul_(root), x.dtype)
        return for_x, None, for_weight, None


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gates, values)
        return _gated(gates, values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gates, values = ctx.saved_tensors
        above = gradients[0]
        if found := native.run("gate_backward", _rows(gates), _rows(values), _rows(above)):
            return found[0].view(gates.shape), found[1].view(values.shape)
        for_gates = slabs.passing(gates.shape, gates.dtype, gates.device)
        torch.mul(above, values, out=for_gates)
        torch.ops.aten.silu_backward.grad_input(for_gates, gates, grad_input=for_gates)
        return for_gates, _silu(gates).mul_(above)


def _is_norm(module: nn.Module) -> bool:
    named = type(module).__name__.endswith("RMSNorm")
    return named and hasattr(module, "weight") and hasattr(module, "variance_epsilon")


def _is_gated(module: nn.Module) -> bool:
    """Made of just these three linear layers and an activation function that is SiLU's."""
    parts = dict(module.named_children())
    linear = all(
        isinstance(parts.get(name), nn.Linear) for name in ("gate_proj", "up_proj", "down_proj")
    )
    kind = type(parts.get("act_fn")).__name__
    return linear and len(parts) == 4 and kind in ("SiLU", "SiLUActivation")


def _norm_forward(module: Any, x: torch.Tensor) -> torch.Tensor:
    if x.dtype != module.weight.dtype:
        return type(module).forward(module, x)  # type: ignore[no-any-return]
    return norm(x, module.weight, module.variance_epsilon)


def _gated_forward(module: Any, x: torch.Tensor) -> torch.Tensor:
    with slabs.results_kept():
        gates, values = module.gate_proj(x), module.up_proj(x)
    product = gate(gates, values)
    result: torch.Tensor = module.down_proj(product)
    return result


def _says_the_same(module: Any, forward: Callable[[Any, torch.Tensor], torch.Tensor]) -> bool:
    """On numbers drawn without touching torch's own generator."""
    first: Any = module.gate_proj if hasattr(module, "gate_proj") else module
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    try:
        known = first.weight.is_floating_point()
        dtype = first.weight.dtype if known else first.compute_dtype
        width = getattr(first, "in_features", first.weight.shape[-1])
        x = draw(1, _TOKENS, width).to(first.weight.device, dtype)
        wanted, got = module.forward(x), forward(module, x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    apart = (got.float() - wanted.float()).norm()
    return got.dtype == wanted.dtype and bool(apart <= _NEAR[dtype] * wanted.float().norm())
