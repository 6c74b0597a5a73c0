"""What the logits and the loss take."""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes

MIB = 1 << 20
# The loss makes logits in fp32 chunks of at most this, at trained positions alone.
LOGIT_CHUNK = 64 * MIB


def kept(shapes: Shapes, plan: Plan) -> int:
    """Bytes between the forward and the backward pass."""
    return 0


def hump(shapes: Shapes, plan: Plan) -> int:
    """The most bytes above `kept` while the loss goes backward: logits, their fp32 copy and
    gradients, 16 bytes a value; chunked, for one chunk."""
    whole = 16 * shapes.vocabulary * plan.tokens
    return whole if plan.logits == "full" else min(4 * LOGIT_CHUNK, whole)


def evaluation(shapes: Shapes, plan: Plan) -> int:
    """The most bytes while a loss without gradients is computed."""
    return hump(shapes, plan) // 2
