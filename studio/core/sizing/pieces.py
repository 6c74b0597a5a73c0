"""What norms, activation functions, turned positions and residuals keep for the backward pass.

Written after transformers 5.23 (models/*/modeling_*.py) and torch's derivatives
(tools/autograd/derivatives.yaml, FunctionsManual.cpp).
"""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.tape import Tape, Value

_WIDE = 4  # bytes of the float32 that norms are computed in


def norm(tape: Tape, plan: Plan, value: Value, kind: str, width: int) -> Value:
    """A norm over vectors `width` long."""
    if kind == "layer":
        return layer_norm(tape, plan, value, width)
    return rms_norm(tape, plan, value, width, kind == "rms+1")


def rms_norm(tape: Tape, plan: Plan, value: Value, width: int, gemma: bool) -> Value:
    """Squares, their mean, its root, the quotient in float32, times the weight: before the values
    are made narrow again in Gemma's, behind that in Llama's.

    The float32 copy of the input is kept, twice referred to; a weight that learns needs the
    quotient too.
    """
    if plan.remakes and not gemma and value.width == plan.stream_bytes:
        return made_norm(tape, plan, value, width)
    wide = tape.cast(value, _WIDE)
    few = wide.size // width
    squares = tape.do(wide.size, _WIDE, (wide,), (wide,), works=wide.size)
    mean = tape.do(few, _WIDE, (squares,))
    root = tape.do(few, _WIDE, (mean,), (mean,))
    divided = tape.do(wide.size, _WIDE, (wide, root), (wide, root), works=wide.size)
    weight = tape.weight(width * plan.stream_bytes, plan.stream_bytes, plan.full)
    if gemma:
        factor = tape.do(width * _WIDE, _WIDE, (weight,))
        saves = (divided,) if weight.needs else ()
        works = wide.size if weight.needs else 0
        scaled = tape.do(wide.size, _WIDE, (divided, factor), saves, works=works)
        return tape.cast(scaled, value.width)
    narrow = tape.cast(divided, value.width)
    saves = (narrow,) if weight.needs else ()
    size = narrow.size // narrow.width * max(narrow.width, plan.stream_bytes)
    works = size if weight.needs else 0
    return tape.do(size, size * narrow.width // narrow.size, (narrow, weight), saves, works=works)


def made_norm(tape: Tape, plan: Plan, value: Value, width: int) -> Value:
    """This studio's norm (engine/fast/layers.py) keeps its input and a root a vector; backwards it
    makes three float32 copies."""
    numbers = value.size // value.width
    root = tape.given(numbers // width * _WIDE, _WIDE, needs=False)
    weight = tape.weight(width * plan.stream_bytes, plan.stream_bytes, plan.full)
    works = numbers * _WIDE * (4 if plan.full else 3)
    out = tape.do(value.size, value.width, (value, weight), (value, root), works=works)
    out.made = (value, root)
    return out


def layer_norm(tape: Tape, plan: Plan, value: Value, width: int) -> Value:
    """LayerNorm keeps its input, a mean and a root a vector (native_layer_norm); CUDA's autocast
    computes it in float32 and leaves it so."""
    if plan.on_gpu and plan.autocast:
        value = tape.cast(value, _WIDE)
    statistics = tape.given(2 * _WIDE * (value.size // value.width // width), _WIDE, needs=False)
    weight = tape.weight(2 * width * plan.stream_bytes, plan.stream_bytes, plan.full)
    return tape.do(value.size, value.width, (value, weight), (value, statistics))


def activation(tape: Tape, plan: Plan, value: Value, kind: str) -> Value:
    """An activation function keeps its input; OpenAI's GELU ("gelu_new") is written out in Python
    and keeps the cube's base, half the input, the tanh and one more than that; other trainers
    compute it at once (litgpt)."""
    if kind != "gelu_new" or plan.peft:
        return tape.do(value.size, value.width, (value,), (value,))
    half = tape.do(value.size, value.width, (value,))
    base = tape.cast(value, _WIDE) if plan.on_gpu and plan.autocast else value
    cube = tape.do(base.size, base.width, (base,), (base,), works=2 * base.size)
    part = tape.do(base.size, base.width, (cube,))
    both = tape.do(base.size, base.width, (value, part))
    factor = tape.do(base.size, base.width, (both,))
    tanh = tape.do(base.size, base.width, (factor,), keeps=True)
    more = tape.passing((tanh,), tanh.width, tanh.size)
    return tape.do(
        max(half.size, more.size), max(half.width, more.width), (half, more), (half, more)
    )


def times(tape: Tape, one: Value, other: Value) -> Value:
    """An elementwise product keeps both factors, each for the other's gradient."""
    saves = ((one,) if other.needs else ()) + ((other,) if one.needs else ())
    return tape.do(one.size, one.width, (one, other), saves)


def gate(tape: Tape, plan: Plan, gates: Value, values: Value, kind: str) -> Value:
    """The activation function of one times the other; this studio's own keeps no result between
    (engine/fast/layers.py)."""
    if not plan.remakes or plan.quantized == "int8" or kind not in ("silu", "swish"):
        return times(tape, activation(tape, plan, gates, kind), values)
    out = tape.do(gates.size, gates.width, (gates, values), (gates, values), works=gates.size)
    out.made = (gates, values)
    return out


def plus(tape: Tape, one: Value, other: Value) -> Value:
    """A sum keeps nothing."""
    wide = one if one.width >= other.width else other
    return tape.passing((one, other), wide.width, wide.size)


def turned(tape: Tape, value: Value, share: float) -> Value:
    """Rotary positions (apply_rotary_pos_emb): cosines and sines are the whole model's, nothing
    else is kept; `share` of each head is turned, the rest put beside it."""
    part = value
    if share < 1:
        part = tape.do(int(value.size * share), value.width, (value,), works=value.size)
    straight = tape.do(part.size, part.width, (part,))
    swapped = tape.do(part.size, part.width, (part,), works=part.size + part.size // 2)
    across = tape.do(part.size, part.width, (swapped,))
    out = plus(tape, straight, across)
    if share < 1:
        rest = tape.do(value.size - part.size, value.width, (value,))
        out = tape.do(value.size, value.width, (out, rest))
    return out
