"""Attention of packed rows on a processor: row by row, without scores between rows.

transformers hands the rows' bounds through as `cu_seq_lens_q`. With packed rows torch's own fused
attention computes the scores between them too, to throw them away. Row by row it takes two to five
times as long backwards on a processor as the way below, and without a matrix unit longer forwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from studio.engine.fast import slabs
from studio.engine.fast.adapter import compute_dtype

NAME = "studio_rows"
BLOCK = 128
_STEP = 32
_PROBE = BLOCK + 32
# How far apart the logits may be, as a share: in 16 bits, and in 32.
_NEAR = (0.03, 1e-4)

Tensors = tuple[torch.Tensor, ...]
Lengths = tuple[int, ...]


def register() -> None:
    """Make NAME known to transformers as an attention implementation."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _mask)


@torch.no_grad()
def put_on(model: PreTrainedModel) -> bool:
    """Have the model attend row by row, where it then says just what it said before.

    Some models do more in their attention (windows, caps, sinks); so it is tried on tokens
    instead of believed.
    """
    register()
    usual = model.config._attn_implementation
    if not usual or not model._can_set_attn_implementation():
        return False
    ids = torch.arange(4, 4 + _PROBE, device=model.device)[None] % model.config.vocab_size
    try:
        wanted = model(input_ids=ids, use_cache=False, logits_to_keep=_PROBE // 2).logits
        model.set_attn_implementation(NAME)
        got = model(input_ids=ids, use_cache=False, logits_to_keep=_PROBE // 2).logits
    except (AttributeError, RuntimeError, TypeError, ValueError):
        model.set_attn_implementation(usual)
        return False
    near = _NEAR[torch.finfo(model.dtype).bits == 32]
    same = bool((got.float() - wanted.float()).norm() <= near * wanted.float().norm())
    if not same:
        model.set_attn_implementation(usual)
    return same


def by_rows(model: nn.Module) -> bool:
    """Whether the model's attention takes packed rows by their bounds."""
    name = str(getattr(getattr(model, "config", None), "_attn_implementation", ""))
    return name == NAME or name.startswith("flash_attention")


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it: `query` (lines, heads, tokens, width), the result
    (lines, tokens, heads, width). With a mask or a cache it is torch's own."""
    bounds = options.get("cu_seq_lens_q")
    length = query.shape[2]
    if attention_mask is not None or key.shape[2] != length or options.get("dropout"):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    lengths = _lengths(bounds, query.shape[0])
    dtype = compute_dtype(query)
    query, key, value = (tensor.to(dtype) for tensor in (query, key, value))
    result: torch.Tensor = _Attend.apply(query, key, value, lengths, scaling)  # type: ignore[no-untyped-call]
    return result, None


def _mask(**wanted: Any) -> torch.Tensor | None:
    """None where the rows' bounds say all; else what torch's own attention takes."""
    whole = wanted["q_length"] == wanted["kv_length"] and wanted.get("attention_mask") is None
    return None if whole and wanted["q_length"] > 1 else sdpa_mask(**wanted)


def _lengths(bounds: torch.Tensor | None, lines: int) -> Lengths | None:
    """How many tokens each row of a packed line has; None where each line is one row."""
    if bounds is None or lines != 1:
        return None
    return tuple(behind - first for first, behind in pairwise(bounds.tolist()))


def _rows(lengths: Lengths | None, *tensors: torch.Tensor) -> Iterator[Tensors]:
    """Of tensors (lines, heads, tokens, width), each row's (heads, tokens, width)."""
    if lengths is None:
        return zip(*tensors, strict=True)
    return zip(*(tensor[0].split(lengths, 1) for tensor in tensors), strict=True)


class _Attend(torch.autograd.Function):
    """Causal attention within rows. Scores are computed again in the backward pass. Rows are many
    small operations, which inference mode hands straight to their kernels."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        lengths: Lengths | None,
        scaling: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(*map(slabs.keep, (query, key, value)))
        ctx.lengths, ctx.scaling = lengths, scaling
        lines, heads, length, _ = query.shape
        result = slabs.empty((lines, length, heads, value.shape[-1]), query.dtype, query.device)
        has_unit = query.dtype == torch.bfloat16 and torch.cpu._is_amx_tile_supported()
        put = _put_fused if has_unit else _put_result
        with torch.inference_mode():
            for row in _rows(lengths, query, key, value, result.transpose(1, 2)):
                put(row, scaling)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        made = tuple(map(_like, (query, key, value)))
        with torch.inference_mode():
            for row in _rows(ctx.lengths, query, key, value, gradients[0].transpose(1, 2), *made):
                _put_gradients(row, ctx.scaling)
        return *made, None, None


def _like(tensor: torch.Tensor) -> torch.Tensor:
    """As large as this; in memory the heads of a token lie beside one another."""
    shape = tensor.transpose(1, 2).shape
    return slabs.passing(shape, tensor.dtype, tensor.device).transpose(1, 2)


def _put_fused(row: Tensors, scaling: float) -> None:
    """torch's kernel on one row, all (heads, tokens, width)."""
    query, key, value, result = row
    wide = max(query.shape[-1], value.shape[-1])
    given = (_widened(tensor, wide)[None] for tensor in (query, key, value))
    attended, _ = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        *given, 0.0, True, attn_mask=None, scale=scaling
    )
    result.copy_(attended[0, ..., : value.shape[-1]])


def _put_result(row: Tensors, scaling: float) -> None:
    """The same where there is no matrix unit for 16 bits: quicker there, with scores and their
    softmax in float32 as in torch's kernel. Two threads share heads more evenly than groups."""
    query, key, value, result = row
    groups, shared = key.shape[0], query.shape[0] // key.shape[0]
    keys = key.float()[:, None].expand(-1, shared, -1, -1).flatten(0, 1).mT
    value = value.contiguous()
    for behind, queries, target in _blocks(query, result):
        scores = _products(queries.float(), keys[..., :behind], scaling)
        weights = _softmax_(scores, queries.shape[1]).to(value.dtype)
        part = torch.bmm(weights.view(groups, -1, behind), value[:, :behind])
        target.copy_(part.view(target.shape))


def _put_gradients(row: Tensors, scaling: float) -> None:
    """The gradients of one row, all (heads, tokens, width).

    Heads that share their keys lie behind each other, so that one product serves them; and two
    products are made as one: queries with keys and the result's gradient with values, and then
    what each of them tells keys and values.
    """
    query, key, value, of_result, of_query, of_key, of_value = row
    groups, length, width = key.shape
    wide = max(width, value.shape[-1])
    query, key, value, of_result = (_widened(one, wide) for one in (query, key, value, of_result))
    keys_values = torch.cat((key, value))
    gathered = torch.empty_like(keys_values)
    for behind, queries, above, target in _blocks(query, of_result, of_query):
        seen = keys_values[:, :behind]
        sides = torch.cat((queries, above, queries)).view(3 * groups, -1, wide)
        products = _products(sides[: 2 * groups], seen.mT, scaling)
        weights, scores = products.chunk(2)
        _softmax_(weights, queries.shape[1])
        torch._softmax_backward_data(scores, weights, -1, scores.dtype, grad_input=scores)
        part = torch.bmm(scores, seen[:groups])
        target.copy_(part.view(queries.shape)[..., :width])
        if behind == length:
            torch.bmm(products.mT, sides[groups:], out=gathered)
        else:
            gathered[:, :behind].baddbmm_(products.mT, sides[groups:])
    of_value.copy_(gathered[:groups, :, : of_value.shape[-1]])
    of_key.copy_(gathered[groups:, :, :width])


def _widened(tensor: torch.Tensor, width: int) -> torch.Tensor:
    """With zeros behind, if it isn't as wide."""
    return tensor if tensor.shape[-1] == width else pad(tensor, (0, width - tensor.shape[-1]))


def _blocks(*tensors: torch.Tensor) -> Iterator[Any]:
    """Queries that are worked on together, of each tensor, with the number of keys that they may
    look at; the last ones first, so that memory for scores is used again."""
    length = behind = tensors[0].shape[1]
    count = -(-length // BLOCK)
    size = -(-length // (count * _STEP)) * _STEP if length else 1
    for block in reversed([*zip(*(tensor.split(size, 1) for tensor in tensors), strict=True)]):
        if behind:
            yield behind, *block
        behind -= block[0].shape[1]


def _products(left: torch.Tensor, right: torch.Tensor, factor: float) -> torch.Tensor:
    return torch.baddbmm(left.new_empty(1), left, right, beta=0, alpha=factor)


def _softmax_(scores: torch.Tensor, tokens: int) -> torch.Tensor:
    """In place; only the last `tokens` keys can lie behind a query."""
    behind = scores.shape[-1]
    corner = scores.view(-1, tokens, behind).narrow(-1, behind - tokens, tokens)
    corner.add_(_later(tokens, scores.dtype, scores.device))
    return torch.softmax(scores, -1, out=scores)  # in float32 within, rounded once


@lru_cache(maxsize=2 * BLOCK)
def _later(tokens: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.full((tokens, tokens), float("-inf"), dtype=dtype, device=device).triu(1)
