"""What the allocator and the device take besides tensors."""

from __future__ import annotations

from studio.core.sizing.overheads import CPU_CONTEXT, CUDA_CONTEXT, context_bytes, slack_bytes
from studio.core.sizing.plan import Plan
from tests.core.sizing.configs import SMALL
from tests.core.sizing.test_shapes import known

LLAMA = known(SMALL["llama"])
GB = 10**9


def test_the_context_grows_with_the_generation_of_the_card() -> None:
    plan = Plan(method="lora")
    assert context_bytes(plan, (7, 5)) == 141 * 2**20
    assert context_bytes(plan, (8, 6)) == context_bytes(plan) == CUDA_CONTEXT
    assert context_bytes(Plan(method="lora", on_gpu=False), None) == CPU_CONTEXT


def test_slack_grows_with_what_is_allocated_and_with_score_matrices() -> None:
    fused = Plan(method="lora", rows=2, length=100)
    plain = Plan(method="lora", rows=2, length=100, attention="eager")
    assert slack_bytes(LLAMA, fused, 2 * GB) == 2 * slack_bytes(LLAMA, fused, GB)
    scores = 4 * 2 * 100 * 100 * LLAMA.heads
    assert slack_bytes(LLAMA, plain, GB) - slack_bytes(LLAMA, fused, GB) == 2 * scores
