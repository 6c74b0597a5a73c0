"""What a run takes besides its tensors: the allocator's slack and the context of the device."""

from __future__ import annotations

from collections.abc import Mapping

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes

MIB = 1 << 20
# Blocks that torch's allocator holds between tensors that come and go, and beside those that stay.
_MOVING_SLACK, _STILL_SLACK = 0.15, 0.02
_STILL = ("weights", "adapter", "optimizer")
# Score matrices of plain attention come in two widths: freed blocks of one don't serve the other.
_SCORES_SLACK = 1.5
CUDA_CONTEXT = 500 * MIB
# A Python process with torch, transformers, peft and bitsandbytes: measured 390 MiB after the
# imports, and thread pools on top.
CPU_CONTEXT = 500 * MIB
# malloc keeps what was freed: measured 0.5 to 1 GB above the tensors of small models.
CPU_SLACK = 0.35


def slack_bytes(shapes: Shapes, plan: Plan, parts: Mapping[str, int]) -> int:
    """What the allocator holds without using it, by the parts at the peak."""
    allocated = sum(parts.values())
    if not plan.on_gpu:
        return int(CPU_SLACK * allocated)
    still = sum(parts.get(name, 0) for name in _STILL)
    found = _STILL_SLACK * still + _MOVING_SLACK * (allocated - still)
    if plan.attention == "eager":
        found += _SCORES_SLACK * 4 * plan.tokens * plan.length * shapes.heads
    return int(found)


def context_bytes(plan: Plan) -> int:
    """What the process takes before the first tensor."""
    return CUDA_CONTEXT if plan.on_gpu else CPU_CONTEXT
