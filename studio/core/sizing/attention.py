"""What attention takes besides queries, keys and values: score matrices, masks, statistics."""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes


def kept(shapes: Shapes, plan: Plan) -> int:
    """Bytes that the forward pass of all layers leaves behind; nothing with checkpointing."""
    return 0


def hump(shapes: Shapes, plan: Plan) -> int:
    """The most bytes above `kept` while one layer's attention goes backward."""
    return 0


def forward_hump(shapes: Shapes, plan: Plan) -> int:
    """The most bytes above what is kept while one layer's attention goes forward."""
    return 0
