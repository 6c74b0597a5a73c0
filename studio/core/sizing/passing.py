"""What is there for a moment only while a model is loaded, updated or saved."""

from __future__ import annotations

from math import prod

from studio.core.sizing.learning import learnt, value_bytes
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes, Tensor

_WIDE = 4


def load_bytes(shapes: Shapes, plan: Plan) -> int:
    """A quantized weight is there whole beside what is made of it, one after the other
    (transformers, integrations/bitsandbytes.py); others are read into their place."""
    if not plan.quantized:
        return 0
    return max(one.inputs * one.outputs for one in shapes.linears) * plan.compute_bytes


def step_bytes(shapes: Shapes, plan: Plan) -> int:
    """AdamW and its 8-bit form work in place (fused kernels); Adafactor makes the gradient's
    square, the update and their product of one weight at a time, in fp32 (transformers,
    optimization.py). Gradients in 16 bits wait beside those that are made wide for the update."""
    beside = plan.compute_bytes * shapes.parameters if plan.copies else 0
    if plan.optimizer != "adafactor":
        return beside
    narrow = value_bytes(plan) < _WIDE
    return beside + (3 + 2 * narrow) * _WIDE * _largest(learnt(shapes, plan))


def save_bytes(shapes: Shapes, plan: Plan) -> int:
    """Weights are written from the processor's memory: a card's are copied there one by one, the
    processor's are where they are."""
    return 0 if plan.on_gpu else value_bytes(plan) * _largest(learnt(shapes, plan))


def _largest(tensors: tuple[Tensor, ...]) -> int:
    return max((prod(one.shape) for one in tensors), default=0)
