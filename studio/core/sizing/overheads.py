"""What a run takes besides its tensors: the allocator's slack and the context of the device."""

from __future__ import annotations

from studio.core.sizing.plan import Plan

MIB = 1 << 20
# Allocator's reserved over allocated memory with SDPA: the median of 69 published runs.
CUDA_SLACK = 0.10
CUDA_CONTEXT = 500 * MIB
# A Python process with torch, transformers, peft and bitsandbytes: measured 390 MiB after the
# imports, and thread pools on top.
CPU_CONTEXT = 500 * MIB
# malloc keeps what was freed: measured 0.5 to 1 GB above the tensors of small models.
CPU_SLACK = 0.35


def slack_bytes(allocated: int, plan: Plan) -> int:
    """What the allocator holds without using it."""
    return int((CUDA_SLACK if plan.on_gpu else CPU_SLACK) * allocated)


def context_bytes(plan: Plan) -> int:
    """What the process takes before the first tensor."""
    return CUDA_CONTEXT if plan.on_gpu else CPU_CONTEXT
