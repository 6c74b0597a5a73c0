"""What a mixture of experts keeps: the router, the tokens once for each expert they go to, and
the experts' products (transformers 5.23, integrations/moe.py: grouped_mm_experts_forward)."""

from __future__ import annotations

from studio.core.sizing.pieces import activation, times
from studio.core.sizing.plan import Plan
from studio.core.sizing.products import linear, product
from studio.core.sizing.shapes import Linear, Shapes
from studio.core.sizing.tape import Tape, Value

_WIDE, _INDEX = 4, 8


def routed(tape: Tape, plan: Plan, shapes: Shapes, value: Value) -> Value:
    """The routed experts' part of one layer, of the input's size."""
    tokens = value.size // value.width // shapes.hidden
    share = _router(tape, plan, shapes, value, tokens)
    each = shapes.experts_per_token
    chosen = tape.given(3 * tokens * each * _INDEX, _INDEX)
    copies = tape.do(value.size * each, value.width, (value,), (chosen,), works=value.size * each)
    inner = _stacked(tape, plan, shapes, copies, shapes.hidden, 2 * shapes.expert_intermediate)
    half = inner.size // 2
    gate, up = tape.pieces(inner, (half, half))
    made = times(tape, activation(tape, plan, gate, shapes.activation), up)
    out = _stacked(tape, plan, shapes, made, shapes.expert_intermediate, shapes.hidden)
    weighed = tape.do(out.size, out.width, (out, share), (out, share), works=out.size)
    back = tape.do(out.size, out.width, (weighed,))
    return tape.do(value.size, value.width, (back,))


def shared(tape: Tape, plan: Plan, value: Value, gate: Linear, made: Value) -> Value:
    """A shared expert's result, weighed by a gate of its own."""
    weight = linear(tape, plan, value, gate)
    weight = tape.do(weight.size, weight.width, (weight,), keeps=True)
    return tape.do(made.size, made.width, (weight, made), (weight, made), works=made.size)


def _router(tape: Tape, plan: Plan, shapes: Shapes, value: Value, tokens: int) -> Value:
    """A score for each expert, their softmax in float32, the largest few."""
    scores = tape.cast(_scores(tape, plan, shapes, value), _WIDE)
    shares = tape.do(scores.size, _WIDE, (scores,), keeps=True)
    size = tokens * shapes.experts_per_token
    places = tape.given(size * _INDEX, _INDEX)
    few = tape.do(size * _WIDE, _WIDE, (shares,), (places,))
    return tape.do(size * _WIDE, _WIDE, (few,), keeps=True)


def adapted(shapes: Shapes, plan: Plan) -> bool:
    """Whether peft puts adapters on experts and router too: for "all-linear", and of the models
    whose experts were linear layers once these (peft 0.21, transformers_weight_conversion.py)."""
    named = plan.targets == "all-linear"
    return not plan.full and named and shapes.kind in ("mixtral", "qwen3_moe")


def sides(shapes: Shapes, rank: int) -> tuple[tuple[int, int, int], ...]:
    """(rank, inputs, outputs) of a layer's adapters on experts and router: that of the two fused
    products has twice the rank, and each expert has its own."""
    hidden, inner, count = shapes.hidden, shapes.expert_intermediate, shapes.experts
    return (
        (2 * rank * count, hidden, 2 * inner),
        (rank * count, inner, hidden),
        (rank, hidden, count),
    )


def _scores(tape: Tape, plan: Plan, shapes: Shapes, value: Value) -> Value:
    gate = Linear(module="gate", inputs=shapes.hidden, outputs=shapes.experts, count=1, role="gate")
    if not adapted(shapes, plan):
        wide = plan.weight_bytes
        return product(tape, plan, value, gate.inputs, gate.outputs, wide, plan.full)
    value = tape.cast(value, plan.compute_bytes if plan.autocast else value.width)
    weight = _changed(tape, plan, shapes, 2, gate.inputs * gate.outputs)
    size = value.size // gate.inputs * gate.outputs
    return tape.do(size, value.width, (value, weight), (value, weight))


def _stacked(
    tape: Tape, plan: Plan, shapes: Shapes, value: Value, inputs: int, outputs: int
) -> Value:
    """A product with all experts' weights, each for its own tokens. Grouped products aren't among
    those that autocast casts. An adapter is added into a copy of all weights, which is kept."""
    numbers = shapes.experts * inputs * outputs
    if adapted(shapes, plan):
        weight = _changed(tape, plan, shapes, int(inputs != shapes.hidden), numbers)
    else:
        weight = tape.weight(numbers * plan.weight_bytes, plan.weight_bytes, plan.full)
    saves = ((value,) if weight.needs else ()) + (weight,)
    return tape.do(value.size // inputs * outputs, value.width, (value, weight), saves)


def _changed(tape: Tape, plan: Plan, shapes: Shapes, which: int, numbers: int) -> Value:
    """Weights with the adapter's part added: a new tensor (peft, lora/layer.py: ParamWrapper)."""
    rank, inputs, outputs = sides(shapes, plan.rank)[which]
    wide = plan.adapter_bytes
    parts = tuple(tape.weight(rank * side * wide, wide, True) for side in (inputs, outputs))
    narrow = tuple(tape.cast(part, plan.weight_bytes) for part in parts)
    return tape.do(numbers * plan.weight_bytes, plan.weight_bytes, narrow, narrow)
