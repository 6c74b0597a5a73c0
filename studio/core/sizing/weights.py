"""What the model's weights take."""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes

NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)


def weights_bytes(shapes: Shapes, plan: Plan) -> int:
    """All weights: quantized linear layers at 4.127 bits (NF4, double quantization) or 8,
    everything else (embeddings, lm_head, norms) at 16 or 32 bits."""
    each = {"": plan.weight_bytes, "nf4": NF4_BYTES, "int8": 1.0}[plan.quantized]
    rest = shapes.parameters - shapes.linear
    return int(shapes.linear * each + rest * plan.weight_bytes)
