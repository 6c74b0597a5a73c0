"""What attention keeps for the backward pass, by the kernel that computes it.

Fused kernels keep queries, keys, values, the result and a logarithm for each row of scores (Dao,
arXiv 2205.14135); plain attention keeps the scores (Korthikanti et al., arXiv 2205.05198).
"""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.products import dropout
from studio.core.sizing.shapes import Shapes
from studio.core.sizing.tape import ATTENTION, Tape, Value

_WIDE = 4
# Queries that the studio's own attention works on together (engine/fast/attention.py).
_BLOCK = 128


def attention(
    tape: Tape, plan: Plan, shapes: Shapes, qkv: tuple[Value, Value, Value], window: int
) -> Value:
    """The result of one layer's attention, of the queries' size."""
    kind = kernel(plan, shapes)
    masked = 0 < window < plan.length or (plan.packed and kind == "sdpa")
    if kind == "eager":
        return eager(tape, plan, shapes, qkv)
    if shapes.attention_dropout and not plan.on_gpu:
        return unfused(tape, plan, shapes, qkv)
    if kind == "rows" and not masked:
        return by_rows(tape, plan, shapes, qkv)
    return fused(tape, plan, shapes, qkv, masked and kind != "flash")


def kernel(plan: Plan, shapes: Shapes) -> str:
    """What computes the attention: capped scores (Gemma 2) only plain attention knows."""
    if shapes.attention_cap and plan.attention != "flash":
        return "eager"
    return plan.attention


def fused(
    tape: Tape, plan: Plan, shapes: Shapes, qkv: tuple[Value, Value, Value], masked: bool
) -> Value:
    """scaled_dot_product_attention, or flash attention. A mask becomes numbers for each row, and
    keys and values are then repeated for the queries that share them (transformers,
    sdpa_attention.py: use_gqa_in_sdpa). Without, the backward pass makes them for all heads."""
    query, key, value = (tape.cast(one, _computed(plan, one)) for one in qkv)
    mask: tuple[Value, ...] = ()
    works = 2 * (query.size - key.size)
    if masked:
        key, value = _repeated(tape, query, key), _repeated(tape, query, value)
        size = _pairs(plan) * query.width
        mask, works = (tape.given(size, query.width, part=ATTENTION),), 0
    statistics = tape.given(plan.tokens * shapes.heads * _WIDE, _WIDE, part=ATTENTION)
    saves = (query, key, value, statistics, *mask)
    return tape.do(query.size, query.width, (query, key, value), saves, works, keeps=True)


def by_rows(tape: Tape, plan: Plan, shapes: Shapes, qkv: tuple[Value, Value, Value]) -> Value:
    """This studio's attention on a processor: it keeps queries, keys and values alone; the scores
    of a block are made again."""
    query, key, value = qkv
    few = 4 * key.size // plan.rows
    scores = shapes.heads * min(_BLOCK, plan.length) * plan.length
    works = few + 2 * scores * (2 * query.width + _WIDE)
    return tape.do(query.size, query.width, (query, key, value), (query, key, value), works)


def eager(tape: Tape, plan: Plan, shapes: Shapes, qkv: tuple[Value, Value, Value]) -> Value:
    """Scores, capped in Gemma 2, masked, their softmax in float32 and once more as narrow as
    products are computed. Queries and keys are made contiguous for the product, and that is what
    is kept. The mask is as wide as the residual stream, and so are the scores behind it."""
    query, key, value = (tape.cast(one, _computed(plan, one)) for one in qkv)
    query = tape.do(query.size, query.width, (query,))
    key, value = _repeated(tape, query, key, True), _repeated(tape, query, value, True)
    numbers, width = _pairs(plan) * shapes.heads, query.width
    size = numbers * width
    scores = tape.do(size, width, (query, key), (query, key), part=ATTENTION)
    scores = tape.do(size, width, (scores,), part=ATTENTION)
    if shapes.attention_cap:
        scores = tape.do(size, width, (scores,), part=ATTENTION)
        scores = tape.do(size, width, (scores,), part=ATTENTION, keeps=True)
        scores = tape.do(size, width, (scores,), part=ATTENTION)
    masked = max(width, plan.stream_bytes)
    scores = tape.passing((scores,), masked, numbers * masked)
    weights = tape.cast(_softmax(tape, plan, shapes, scores), qkv[0].width)
    tape.part, part = ATTENTION, tape.part
    weights = tape.cast(dropout(tape, plan, weights, shapes.attention_dropout), width)
    tape.part = part
    out = tape.do(query.size, width, (weights, value), (weights, value))
    return tape.do(out.size, width, (out,))


def _softmax(tape: Tape, plan: Plan, shapes: Shapes, scores: Value) -> Value:
    """The softmax keeps its result. A card's kernel reads narrow scores and its backward pass makes
    gradient times result first (aten, native/cuda/SoftMax.cu); a processor's reads float32, and
    GPT-2 asks for no wider one."""
    wide = scores.size // scores.width * _WIDE
    if plan.on_gpu:
        return tape.do(wide, _WIDE, (scores,), works=wide, part=ATTENTION, keeps=True)
    if shapes.kind != "gpt2":
        scores = tape.cast(scores, _WIDE)
    return tape.do(scores.size, scores.width, (scores,), part=ATTENTION, keeps=True)


def _computed(plan: Plan, value: Value) -> int:
    """The width that autocast computes products of the value in."""
    return plan.compute_bytes if plan.autocast else value.width


def unfused(tape: Tape, plan: Plan, shapes: Shapes, qkv: tuple[Value, Value, Value]) -> Value:
    """On a processor the fused kernel has no dropout: torch then goes through scores, shares,
    dropout's mask and what it leaves, all in float32 (aten, _scaled_dot_product_attention_math)."""
    query, key, value = (tape.cast(one, _WIDE) for one in qkv)
    key, value = _repeated(tape, query, key, True), _repeated(tape, query, value, True)
    query = tape.do(query.size, _WIDE, (query,))
    size = _pairs(plan) * shapes.heads * _WIDE
    scores = tape.do(size, _WIDE, (query, key), (query, key), part=ATTENTION)
    masked = tape.passing((scores,), _WIDE, size)
    shares = tape.do(size, _WIDE, (masked,), part=ATTENTION, keeps=True)
    tape.part, part = ATTENTION, tape.part
    left = dropout(tape, plan, shares, shapes.attention_dropout)
    tape.part = part
    out = tape.do(query.size, _WIDE, (left, value), (left, value))
    return tape.cast(out, qkv[2].width)


def _pairs(plan: Plan) -> int:
    """Pairs of tokens that have a score; packed rows are one long one, masked."""
    return plan.tokens**2 if plan.packed else plan.tokens * plan.length


def _repeated(tape: Tape, query: Value, key: Value, always: bool = False) -> Value:
    """Keys or values for each query head; a copy where heads share them, or `always`."""
    if key.size == query.size and not always:
        return key
    return tape.do(query.size, key.width, (key,))
