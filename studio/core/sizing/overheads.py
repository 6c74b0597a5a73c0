"""What a run takes besides its tensors: the allocator's slack and the context of the device."""

from __future__ import annotations

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes

MIB = 1 << 20
# Blocks that torch's allocator holds between tensors: the median of 11 published runs with fused
# attention is 8.5 % of what is allocated (4 to 13 %).
_SLACK = 0.08
# Of other trainers' runs with flash attention (Qwen's, by method from 1.8 to 72 billion weights)
# what lies between tensors and the whole process hardly grows with the tensors.
_FLASH_SLACK, _FLASH_LEAST = 0.02, 800_000_000
# DeepSpeed's ZeRO keeps two buckets of 2e8 gradients in 16 bits, and its third stage, for full
# fine-tuning, 1e9 gathered weights too (Qwen's finetune/ds_config_zero2.json and zero3.json).
_BUCKETS, _GATHERED = 2 * 2 * 200_000_000, 2 * 1_000_000_000
# Score matrices of plain attention come in two widths: freed blocks of one don't serve the other.
_SCORES_SLACK = 2
# 141 MiB on a T4, said by fitcheck-llm's measurements; several hundred on newer cards, whose
# kernels are more.
_CONTEXT_BEFORE_AMPERE, CUDA_CONTEXT = 141 * MIB, 500 * MIB
# A Python process with torch, transformers, peft and bitsandbytes: measured 390 MiB after the
# imports, and thread pools on top.
CPU_CONTEXT = 500 * MIB
# malloc keeps what was freed: measured 0.5 to 1 GB above the tensors of small models.
CPU_SLACK = 0.35


def slack_bytes(shapes: Shapes, plan: Plan, allocated: int) -> int:
    """What the allocator holds at the peak without using it."""
    if not plan.on_gpu:
        return int(CPU_SLACK * allocated)
    if plan.peft and plan.attention == "flash":
        zero = plan.zero * (_BUCKETS + _GATHERED * plan.full)
        return int(_FLASH_SLACK * allocated) + _FLASH_LEAST + zero
    scores = 4 * plan.tokens * plan.length * shapes.heads if plan.attention == "eager" else 0
    return int(_SLACK * allocated + _SCORES_SLACK * scores)


def context_bytes(plan: Plan, capability: tuple[int, int] | None = None) -> int:
    """What the process takes before the first tensor, by the card's compute capability."""
    if not plan.on_gpu:
        return CPU_CONTEXT
    return _CONTEXT_BEFORE_AMPERE if capability and capability < (8, 0) else CUDA_CONTEXT
