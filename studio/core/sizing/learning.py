"""What learns: the adapter, its gradients and the optimizer's states."""

from __future__ import annotations

from studio.core.recipe import Optimizer
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes

OPTIMIZER_BYTES: dict[Optimizer, float] = {
    "adamw": 8.0,
    "paged_adamw": 8.0,
    "adamw_8bit": 2.0,
    "paged_adamw_8bit": 2.0,
    "adafactor": 0.1,
}


def trainable(shapes: Shapes, plan: Plan) -> int:
    """Values that learn: all of them, or rank x (inputs + outputs) of each targeted layer."""
    if plan.full:
        return shapes.parameters
    targeted = shapes.targeted(plan.targets)
    return plan.rank * sum((one.inputs + one.outputs) * one.count for one in targeted)


def adapter_bytes(shapes: Shapes, plan: Plan) -> int:
    """The adapter's own weights, kept in fp32; none in full fine-tuning."""
    return 0 if plan.full else plan.adapter_bytes * trainable(shapes, plan)


def gradient_bytes(shapes: Shapes, plan: Plan) -> int:
    """One gradient for each value that learns, in that value's type."""
    each = plan.weight_bytes if plan.full else plan.adapter_bytes
    return each * trainable(shapes, plan)


def optimizer_bytes(shapes: Shapes, plan: Plan) -> int:
    """AdamW keeps two values a weight in its type, 8-bit AdamW two bytes; Adafactor rows and
    columns alone. Paged states are counted in full: they leave the card only under pressure."""
    each = OPTIMIZER_BYTES[plan.optimizer]
    if plan.full and plan.weight_bytes == 2:
        each = min(each, 4.0)
    return int(each * trainable(shapes, plan))
