"""LoRA's linear layer as one operation that keeps its input once and little else.

The mathematics is PEFT's: base(x) + scaling * B(A(dropout(x))), each module with a dropout of its
own. What differs is the way there: the base's weight is frozen, so nothing is kept for it; an
input that can be made again (made.py) isn't kept either; dropout is a list of places; the
adapter's part is added into the base's result instead of being made, scaled and added.
Parameters, names and saved files are PEFT's, whose own forward is used wherever this one doesn't
apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear as PlainLinear
from torch import nn

from studio.engine.fast import slabs
from studio.engine.fast.dropout import drawn, places
from studio.engine.fast.frozen import Frozen, frozen
from studio.engine.fast.made import Made, origin


class Linear(PlainLinear):
    """PEFT's linear layer with an adapter, computed at once where it trains one plain adapter."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Of shape (..., outputs) for `x` of shape (..., inputs)."""
        return forward_of(self, super().forward, x, *args, **kwargs)


def forward_of(
    layer: Any, plain: Callable[..., torch.Tensor], x: torch.Tensor, *args: Any, **kwargs: Any
) -> torch.Tensor:
    """The layer's result, by PEFT's own `plain` where this file's way doesn't apply. Where torch
    compiles the layer it joins these operations by itself."""
    if torch.compiler.is_compiling():
        return plain(x, *args, **kwargs)
    base = frozen(layer.get_base_layer())
    if base is None or args or kwargs or not _plain(layer, x):
        return plain(x, *args, **kwargs)
    return _adapted(layer, base, x)


def _adapted(layer: Any, base: Frozen, x: torch.Tensor) -> torch.Tensor:
    name = layer.active_adapters[0]
    into, out = layer.lora_A[name].weight, layer.lora_B[name].weight
    share = float(getattr(layer.lora_dropout[name], "p", 0.0)) if layer.training else 0.0
    scale = layer.scaling[name] / (1.0 - share)
    how = scale, share, torch.is_grad_enabled()
    result: torch.Tensor = _Adapted.apply(x, into, out, base, *how, origin(x))  # type: ignore[no-untyped-call]
    return result


def compute_dtype(x: torch.Tensor) -> torch.dtype:
    """What autocast would compute a product with `x` in."""
    device = x.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype


def _plain(layer: Any, x: torch.Tensor) -> bool:
    """Whether there is one ordinary adapter at work, with a dropout that is ours to draw."""
    if layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1:
        return False
    name = layer.active_adapters[0]
    if name not in layer.lora_A or name in layer.lora_variant or layer.lora_bias[name]:
        return False
    dropout = layer.lora_dropout[name]
    quiet = not layer.training or isinstance(dropout, nn.Identity)
    ours = isinstance(dropout, nn.Dropout) and x.device.type == "cpu"
    return quiet or ours


class _Adapted(torch.autograd.Function):
    """Forward and backward of the layer, over rows of shape (tokens, inputs)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        into: torch.Tensor,
        out: torch.Tensor,
        base: Frozen,
        scale: float,
        share: float,
        learning: bool,
        made: Made | None,
    ) -> torch.Tensor:
        dtype = compute_dtype(x)
        rows = x.reshape(-1, x.shape[-1]).to(dtype)
        where, gaps = drawn(rows.numel(), share) if share else (None, None)
        narrow_in, narrow_out = into.to(dtype), (out * scale).to(dtype)
        small = slabs.empty((len(rows), len(into)), dtype, rows.device)
        torch.mm(_without(rows, where), narrow_in.t(), out=small)
        weight = base.weight(dtype)
        result = slabs.result((len(rows), len(weight)), dtype, rows.device)
        if base.bias is None:
            torch.mm(rows, weight.t(), out=result)
        else:
            torch.addmm(base.bias.to(dtype), rows, weight.t(), out=result)
        result.addmm_(small, narrow_out.t())
        kept = (rows,) if made is None else made.kept
        if made is None and learning:
            kept = (slabs.keep(rows),)
        ctx.save_for_backward(small, narrow_in, narrow_out, gaps, *kept)
        ctx.base, ctx.scale, ctx.shape = base, scale, x.shape
        ctx.dtypes = x.dtype, into.dtype, out.dtype
        ctx.again = None
        if made is not None:
            made.shared.users += 1
            ctx.again, ctx.shared = made.again, made.shared
        return result.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        small, into, out, gaps, *kept = ctx.saved_tensors
        dtype, (of_x, of_into, of_out) = small.dtype, ctx.dtypes
        rows = _rows(ctx, kept, dtype)
        where = None if gaps is None else places(gaps)
        gradient = gradients[0].reshape(-1, gradients[0].shape[-1]).to(dtype)
        to_small = gradient @ out
        for_out = (gradient.t() @ small).to(of_out).mul_(ctx.scale)
        for_into = (to_small.t() @ _without(rows, where)).to(of_into)
        for_x = None
        if ctx.needs_input_grad[0]:
            for_x = slabs.passing(rows.shape, dtype, rows.device)
            torch.mm(gradient, ctx.base.weight(dtype), out=for_x)
            with _untouched(for_x, where):
                for_x.addmm_(to_small, into)
            for_x = for_x.view(ctx.shape).to(of_x)
        return for_x, for_into, for_out, None, None, None, None, None


def _rows(ctx: Any, kept: Sequence[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """The layer's input, kept or made again."""
    if ctx.again is None:
        return kept[0]
    again: torch.Tensor = ctx.shared.take(
        lambda: ctx.again(*kept).reshape(-1, ctx.shape[-1]).to(dtype)
    )
    return again


def _without(rows: torch.Tensor, where: torch.Tensor | None) -> torch.Tensor:
    """The rows, or a passing copy that is zero at these places."""
    if where is None:
        return rows
    left = slabs.passing(rows.shape, rows.dtype, rows.device).copy_(rows)
    left.view(-1).index_fill_(0, where, 0)
    return left


@contextmanager
def _untouched(rows: torch.Tensor, where: torch.Tensor | None) -> Iterator[None]:
    """These places are afterwards what they were before."""
    if where is None:
        yield
        return
    flat = rows.view(-1)
    before = flat.index_select(0, where)
    yield
    flat.index_copy_(0, where, before)


def kinds(model: nn.Module) -> dict[type[nn.Module], type[nn.Module]]:
    """Which of PEFT's layers to put this module's in place of, by the base's layer."""
    if getattr(model, "is_loaded_in_8bit", False):
        return {}
    if getattr(model, "is_loaded_in_4bit", False):
        from bitsandbytes.nn import Linear4bit

        from studio.engine.fast.adapter4bit import AdaptedLinear4bit

        return {Linear4bit: AdaptedLinear4bit}
    return {nn.Linear: Linear}
