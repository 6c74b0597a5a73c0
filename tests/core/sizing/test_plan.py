"""What a recipe's settings come to, here and in other trainers."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core.facts import Gpu, Machine
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    Method,
    ModelPart,
    Recipe,
    TrainingPart,
)
from studio.core.sizing.plan import Ways, plan_of

GB = 10**9
CARD = Machine(
    gpus=(Gpu(index=0, name="Card", total_bytes=GB, used_bytes=0, free_bytes=GB),),
)
FULL = Ways(logits="full")


def recipe(method: Method = "lora", length: int = 512, **training: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        method=method,
        data=DataPart(max_length=length),
        training=TrainingPart(**training),
    )


@pytest.mark.parametrize(
    ("method", "training", "weight", "autocast"),
    [
        ("lora", {}, 2, True),
        ("lora", {"base_precision": "32"}, 4, True),
        ("lora", {"dtype": "float32"}, 4, False),
        ("full", {}, 4, True),
        ("full", {"base_precision": "16"}, 2, False),
        ("full", {"dtype": "bfloat16"}, 4, True),
        ("full", {"dtype": "float16", "base_precision": "16"}, 4, True),
    ],
)
def test_bytes_of_a_weight(
    method: Method, training: dict[str, Any], weight: int, autocast: bool
) -> None:
    plan = plan_of(recipe(method, **training), CARD)
    assert (plan.weight_bytes, plan.autocast) == (weight, autocast)
    assert plan.adapter_bytes == 4


def test_a_batch_is_cut_into_micro_batches_of_whole_rows() -> None:
    assert plan_of(recipe(length=512), CARD).rows == 4
    assert plan_of(recipe(length=5000), CARD).rows == 1
    assert plan_of(recipe(batch_size=2, length=64), CARD).rows == 2
    assert plan_of(recipe(micro_batch_size=7), CARD).tokens == 7 * 512
    assert plan_of(recipe(length=512), CARD, longest=100).length == 100


def test_steps_of_several_micro_batches_hold_their_gradients() -> None:
    assert plan_of(recipe(batch_size=8, micro_batch_size=2), CARD).accumulating
    assert not plan_of(recipe(batch_size=2, micro_batch_size=2), CARD).accumulating


def test_the_studios_own_ways() -> None:
    plan = plan_of(recipe("qlora"), CARD)
    assert (plan.attention, plan.logits, plan.quantized) == ("sdpa", "chunked", "nf4")
    assert plan.double_quantization
    assert plan.stream_bytes == 2
    assert plan_of(recipe(), Machine(cpu="CPU")).attention == "rows"
    int8 = plan_of(recipe("lora", base_precision="8"), CARD)
    assert int8.quantized == "int8"


def test_other_trainers_qlora() -> None:
    half = plan_of(recipe("qlora", dtype="float16"), CARD, ways=FULL)
    assert (half.stream_bytes, half.weight_bytes) == (4, 4)
    assert not half.double_quantization
    brain = plan_of(recipe("qlora", dtype="bfloat16"), CARD, ways=FULL)
    assert (brain.stream_bytes, brain.weight_bytes) == (4, 2)
    flash = plan_of(
        recipe("qlora", dtype="float16"), CARD, ways=Ways(logits="full", attention="flash")
    )
    assert (flash.stream_bytes, flash.weight_bytes, flash.loss_bytes) == (2, 2, 2)


def test_other_trainers_full_fine_tuning() -> None:
    pure = plan_of(recipe("full", dtype="bfloat16"), CARD, ways=FULL)
    assert (pure.weight_bytes, pure.copies) == (2, False)
    mixed = plan_of(recipe("full", dtype="bfloat16", base_precision="32"), CARD, ways=FULL)
    assert (mixed.weight_bytes, mixed.copies) == (4, True)
