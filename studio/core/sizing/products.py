"""What linear layers keep for the backward pass, with and without an adapter on them.

A linear layer needs its weight for the gradient of its input, and its input for the gradient of
its weight (Korthikanti et al., arXiv 2205.05198, section 4): a frozen one keeps no activation.
"""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Linear, names
from studio.core.sizing.tape import Tape, Value

_GAP, _PLACE = 2, 8  # bytes of an int16 and an int64


def adapted(plan: Plan, module: str) -> bool:
    """Whether linear layers of this last name have an adapter."""
    if plan.full:
        return False
    return plan.targets == "all-linear" or module in names(plan.targets)


def linear(tape: Tape, plan: Plan, value: Value, layer: Linear) -> Value:
    """A linear layer of the model, with an adapter where the plan has one on it."""
    if not adapted(plan, layer.module):
        return base(tape, plan, value, layer)
    stock = plan.peft or plan.quantized == "int8" or layer.transposed
    if stock or (plan.dropout and plan.on_gpu):
        return stock_adapter(tape, plan, value, layer)
    return one_adapter(tape, plan, value, layer)


def base(tape: Tape, plan: Plan, value: Value, layer: Linear) -> Value:
    """The model's own product. A weight in 4 bits is made whole for the time of the product,
    forward and again backward (bitsandbytes, autograd/_functions.py: MatMul4Bit)."""
    if plan.quantized != "nf4" or layer.transposed:
        return product(tape, plan, value, layer.inputs, layer.outputs, plan.weight_bytes, plan.full)
    width = value.width
    value = tape.cast(value, plan.compute_bytes)
    whole = layer.inputs * layer.outputs * plan.compute_bytes
    size = value.size // layer.inputs * layer.outputs
    return tape.cast(tape.do(size, value.width, (value,), works=whole), width)


def product(
    tape: Tape, plan: Plan, value: Value, inputs: int, outputs: int, width: int, trains: bool
) -> Value:
    """A product with a weight whose numbers are `width` bytes wide; where that isn't what products
    are computed in, autocast makes copies of weight and input, which are what is kept; without it
    the input is cast to the weight's width."""
    weight = tape.weight(inputs * outputs * width, width, trains)
    compute = plan.compute_bytes if plan.autocast else width
    value, copy = tape.cast(value, compute), tape.cast(weight, compute)
    saves = ((value,) if copy.needs else ()) + ((copy,) if value.needs else ())
    return tape.do(value.size // inputs * outputs, compute, (value, copy), saves)


def stock_adapter(tape: Tape, plan: Plan, value: Value, layer: Linear) -> Value:
    """peft's layers: the product, and beside it dropout, A, B and a factor, each a tensor of its
    own (peft, tuners/lora/layer.py: Linear.forward; bnb.py: Linear4bit.forward adds a copy)."""
    result = base(tape, plan, value, layer)
    if plan.quantized == "nf4":
        result = tape.passing((result,), result.width, result.size)
    rank, width = plan.rank, plan.adapter_bytes
    low = product(tape, plan, dropout(tape, plan, value), layer.inputs, rank, width, True)
    high = product(tape, plan, low, rank, layer.outputs, width, True)
    scaled = tape.do(high.size, high.width, (high,))
    return tape.passing((result, scaled), result.width, result.size)


def one_adapter(tape: Tape, plan: Plan, value: Value, layer: Linear) -> Value:
    """This studio's layer (engine/fast/adapter.py): one operation that keeps its input, or what
    that is made of, and what A makes of it; on a processor dropout keeps the places it took."""
    compute = plan.compute_bytes if plan.autocast else value.width
    numbers, rank = value.size // value.width, plan.rank
    tokens = numbers // layer.inputs
    rows = value if value.width == compute else tape.given(numbers * compute, compute)
    small = tape.given(tokens * rank * compute, compute)
    whole = layer.inputs * layer.outputs * compute
    works = tokens * rank * compute + rank * (layer.inputs + layer.outputs) * compute
    if plan.quantized or plan.weight_bytes != compute:
        works += whole
    saves = [*(value.made or (rows,)), small]
    works += numbers * compute if value.made else 0
    if plan.dropout:
        taken = int(numbers * plan.dropout)
        saves.append(tape.given(taken * _GAP, _GAP))
        works += numbers * compute + taken * _PLACE
    weights = tuple(
        tape.weight(rank * side * plan.adapter_bytes, plan.adapter_bytes, True)
        for side in (layer.inputs, layer.outputs)
    )
    size = tokens * layer.outputs * compute
    return tape.do(size, compute, (value, *weights), saves, works=works)


def dropout(tape: Tape, plan: Plan, value: Value, share: float | None = None) -> Value:
    """Dropout keeps which values it left: a byte each in CUDA's kernel, numbers as wide as the
    values on a processor (aten, native/Dropout.cpp)."""
    if not (plan.dropout if share is None else share):
        return value
    width = 1 if plan.on_gpu else value.width
    mask = tape.given(value.size // value.width * width, width)
    return tape.do(value.size, value.width, (value,), (mask,))
