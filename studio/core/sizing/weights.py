"""What the model's weights take, quantized or not; equal to the byte to the real tensors."""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Linear, Shapes

_BLOCK, _STATISTICS_BLOCK = 64, 256


def weights_bytes(shapes: Shapes, plan: Plan) -> int:
    """All weights, a tower's too. bitsandbytes quantizes the layers' linear layers: embeddings,
    lm_head, norms, biases, routers and experts that are stored as one tensor stay as they are
    (transformers, integrations/bitsandbytes.py)."""
    tower = shapes.tower.parameters if shapes.tower else 0
    if not plan.quantized:
        beside = plan.compute_bytes if plan.copies else 0
        return shapes.parameters * (plan.weight_bytes + beside) + tower * plan.weight_bytes
    linear = sum(one.values for one in _quantized(shapes))
    rest = (shapes.parameters + tower - linear) * plan.weight_bytes
    return rest + quantized_bytes(shapes, plan)


def quantized_bytes(shapes: Shapes, plan: Plan) -> int:
    """The quantized layers' weights with their constants."""
    return sum(_quantized_bytes(one, plan) * one.count for one in _quantized(shapes))


def nf4_bytes(values: int, double: bool = True) -> int:
    """A weight in NF4 (arXiv 2305.14314): two values a byte, a scale for each 64, and the 16
    numbers that four bits can mean. Double quantization holds the scales in 8 bits, with a scale
    for each 256 of them, their 256 meanings and their mean (bitsandbytes, QuantState)."""
    scales = -(-values // _BLOCK)
    codes = 16 * 4
    packed = -(-values // 2)
    if not double:
        return packed + 4 * scales + codes
    return packed + scales + 4 * -(-scales // _STATISTICS_BLOCK) + 4 + codes + 256 * 4


def int8_bytes(linear: Linear) -> int:
    """A weight in LLM.int8 (arXiv 2208.07339): a byte a value, a scale for each output."""
    return linear.inputs * linear.outputs + 4 * linear.outputs


def _quantized(shapes: Shapes) -> tuple[Linear, ...]:
    return shapes.linears + (shapes.tower.linears if shapes.tower else ())


def _quantized_bytes(linear: Linear, plan: Plan) -> int:
    if plan.quantized == "int8":
        return int8_bytes(linear)
    return nf4_bytes(linear.inputs * linear.outputs, plan.double_quantization)
