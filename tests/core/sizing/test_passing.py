"""What is there for a moment only, against the real thing on the processor."""

from __future__ import annotations

from studio.core.sizing.learning import learnt
from studio.core.sizing.passing import load_bytes, save_bytes, step_bytes
from studio.core.sizing.plan import Plan
from tests.core.sizing.configs import SMALL
from tests.core.sizing.test_shapes import known

LLAMA = known(SMALL["llama"])
LARGEST = 131 * 48


def test_one_quantized_weight_at_a_time_is_there_whole() -> None:
    assert load_bytes(LLAMA, Plan(method="lora")) == 0
    assert load_bytes(LLAMA, Plan(method="qlora", quantized="nf4")) == 2 * 104 * 48


def test_only_adafactor_needs_room_for_its_update() -> None:
    assert step_bytes(LLAMA, Plan(method="full")) == 0
    assert step_bytes(LLAMA, Plan(method="full", optimizer="paged_adamw_8bit")) == 0
    wide = Plan(method="full", weight_bytes=4, optimizer="adafactor")
    assert step_bytes(LLAMA, wide) == 2 * 4 * LARGEST


def test_a_processor_copies_what_it_saves_one_by_one() -> None:
    plan = Plan(method="lora", rank=3, on_gpu=False)
    assert save_bytes(LLAMA, plan) == 4 * 3 * 104
    assert save_bytes(LLAMA, Plan(method="lora")) == 0
    assert len(learnt(LLAMA, plan)) == 14
