"""What the decoder layers keep for the backward pass, and what one layer takes for a moment."""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes


def kept(shapes: Shapes, plan: Plan) -> int:
    """Bytes that the forward pass of all layers leaves behind, attention scores aside.

    With checkpointing that is the input of each layer.
    """
    if plan.checkpointing:
        return shapes.layers * shapes.hidden * plan.compute_bytes * plan.tokens
    return shapes.layers * _layer(shapes, plan)


def hump(shapes: Shapes, plan: Plan) -> int:
    """The most bytes above `kept` while one layer goes backward: with checkpointing all that it
    would have kept, computed anew, and the gradients on their way."""
    return _layer(shapes, plan) if plan.checkpointing else 0


def forward_hump(shapes: Shapes, plan: Plan) -> int:
    """The most bytes above what is kept while one layer goes forward, with or without gradients."""
    return 0


def _layer(shapes: Shapes, plan: Plan) -> int:
    attention = 3 * shapes.heads * shapes.head_dim + shapes.kv_heads * shapes.head_dim
    values = 12 * shapes.hidden + attention + 3 * shapes.intermediate
    return values * plan.compute_bytes * plan.tokens
