"""Attention of packed rows on a processor: row by row, without scores between rows.

transformers hands the rows' bounds through as `cu_seq_lens_q`. With packed rows torch's own fused
attention computes the scores between them too, to throw them away. Row by row it is the quickest
forwards, but takes two to five times as long backwards on a processor as the way below.
"""

from __future__ import annotations

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
_PROBE = BLOCK + 32
# How far apart the logits may be, as a share: in 16 bits, and in 32.
_NEAR = (0.03, 1e-4)

Spans = tuple[tuple[int, int, int], ...]


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
    spans = _spans(bounds, query.shape[0], length)
    dtype = compute_dtype(query)
    query, key, value = (tensor.to(dtype) for tensor in (query, key, value))
    result: torch.Tensor = _Attend.apply(query, key, value, spans, scaling)  # type: ignore[no-untyped-call]
    return result, None


def _mask(**wanted: Any) -> torch.Tensor | None:
    """None where the rows' bounds say all; else what torch's own attention takes."""
    whole = wanted["q_length"] == wanted["kv_length"] and wanted.get("attention_mask") is None
    return None if whole and wanted["q_length"] > 1 else sdpa_mask(**wanted)


def _spans(bounds: torch.Tensor | None, lines: int, length: int) -> Spans:
    """(line, first token, behind the last) of each row."""
    if bounds is None or lines != 1:
        return tuple((line, 0, length) for line in range(lines))
    return tuple((0, first, behind) for first, behind in pairwise(bounds.tolist()))


class _Attend(torch.autograd.Function):
    """Causal attention within spans. Scores are computed again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        spans: Spans,
        scaling: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(*map(slabs.keep, (query, key, value)))
        ctx.spans, ctx.scaling = spans, scaling
        lines, heads, length, _ = query.shape
        result = slabs.empty((lines, length, heads, value.shape[-1]), query.dtype, query.device)
        for line, start, end in spans:
            own = slice(line, line + 1), slice(None), slice(start, end)
            result[line, start:end] = _fused(query[own], key[own], value[own], scaling)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        for_result = gradients[0].transpose(1, 2)
        for_query, for_key, for_value = (torch.empty_like(t) for t in (query, key, value))
        groups = key.shape[1]
        for span in ctx.spans:
            keys, values = _of(key, span), _of(value, span)
            of_keys, of_values = torch.zeros_like(keys), torch.zeros_like(values)
            for first, behind in _blocks(span):
                queries = _grouped(query, span, first, behind, groups)
                above = _grouped(for_result, span, first, behind, groups)
                seen = keys[:, :behind]
                weights = _weights(queries, seen, behind - first, ctx.scaling)
                of_values[:, :behind] += weights.transpose(1, 2) @ above
                scores = torch._softmax_backward_data(
                    above @ values[:, :behind].transpose(1, 2), weights, -1, weights.dtype
                )
                scores *= ctx.scaling
                _put(for_query, span, first, behind, scores @ seen)
                of_keys[:, :behind] += scores.transpose(1, 2) @ queries
            line, start, end = span
            for_key[line, :, start:end] = of_keys
            for_value[line, :, start:end] = of_values
        return for_query, for_key, for_value, None, None


def _fused(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
) -> torch.Tensor:
    """torch's kernel on one row: (tokens, heads, width). Without a matrix unit it is quicker in
    float32."""
    width, wanted = query.shape[-1], value.shape[-1]
    query, key = (pad(one, (0, max(0, wanted - width))) for one in (query, key))
    value = pad(value, (0, max(0, width - wanted)))
    if query.dtype != torch.bfloat16 or not torch.cpu._is_amx_tile_supported():
        query, key, value = query.float(), key.float(), value.float()
    attended, _ = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, True, attn_mask=None, scale=scaling
    )
    made: torch.Tensor = attended[0, :, :, :wanted].transpose(0, 1)
    return made


def _blocks(span: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Queries that are worked on together; none looks at keys behind its block."""
    length = span[2] - span[1]
    return [(first, min(first + BLOCK, length)) for first in range(0, length, BLOCK)]


def _of(tensor: torch.Tensor, span: tuple[int, int, int]) -> torch.Tensor:
    line, start, end = span
    return tensor[line, :, start:end].contiguous()


def _grouped(
    tensor: torch.Tensor, span: tuple[int, int, int], first: int, behind: int, groups: int
) -> torch.Tensor:
    """Of shape (groups, heads of a group * tokens, width): heads that share their keys lie
    behind each other, so that one product serves them."""
    line, start, _ = span
    part = tensor[line, :, start + first : start + behind]
    return part.reshape(groups, -1, tensor.shape[-1])


def _put(
    target: torch.Tensor, span: tuple[int, int, int], first: int, behind: int, part: torch.Tensor
) -> None:
    line, start, _ = span
    heads, width = target.shape[1], target.shape[-1]
    target[line, :, start + first : start + behind] = part.view(heads, behind - first, width)


def _weights(
    queries: torch.Tensor, keys: torch.Tensor, tokens: int, scaling: float
) -> torch.Tensor:
    """The softmax of the scores; only the last `tokens` keys can lie behind a query."""
    scores = torch.baddbmm(queries.new_empty(1), queries, keys.mT, beta=0, alpha=scaling)
    corner = scores.view(keys.shape[0], -1, tokens, keys.shape[1])[..., -tokens:]
    corner += _later(tokens, scores.dtype, scores.device)
    return torch.softmax(scores, -1)  # in float32 within, rounded once


@lru_cache(maxsize=2 * BLOCK)
def _later(tokens: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.full((tokens, tokens), float("-inf"), dtype=dtype, device=device).triu(1)
