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
    """What comes and goes in the optimizer's step. Gradients in 16 bits wait beside those that are
    made wide for the update."""
    beside = plan.compute_bytes * shapes.parameters if plan.copies else 0
    return beside + update_bytes(plan, value_bytes(plan) * _largest(learnt(shapes, plan)))


def update_bytes(plan: Plan, gradient: int) -> int:
    """What the update of one weight makes for itself, by the bytes of its gradient: AdamW and its
    8-bit form work in place (fused kernels); Adafactor makes the gradient's square and the update
    in fp32, and copies of a narrow gradient and weight (transformers, optimization.py)."""
    if plan.optimizer != "adafactor":
        return 0
    each = value_bytes(plan)
    return (2 + 2 * (each < _WIDE)) * _WIDE * (gradient // each)


def save_bytes(shapes: Shapes, plan: Plan) -> int:
    """Weights are written from the processor's memory: a card's are copied there one by one, the
    processor's are where they are."""
    return 0 if plan.on_gpu else value_bytes(plan) * _largest(learnt(shapes, plan))


def _largest(tensors: tuple[Tensor, ...]) -> int:
    return max((prod(one.shape) for one in tensors), default=0)
