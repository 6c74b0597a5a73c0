"""Floating-point operations, by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from studio.core import work
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.plan import Plan
from studio.core.work import Rows

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 32,
}
LAYER = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16
READING = 8 * 8 + 2 * 8 * 4
ONE = Rows(tokens=1, trained=0, squares=0)


def count(rows: Rows, **plan: Any) -> float:
    shapes = shapes_of(LLAMA)
    assert shapes is not None
    return work.training(shapes, Plan(**plan), rows)


def test_full_fine_tuning_is_six_operations_a_weight_and_recomputing_two_more() -> None:
    assert count(ONE, method="full") == 6 * 3 * LAYER
    assert count(ONE, method="full", checkpointing=True) == 8 * 3 * LAYER - 2 * 3 * 8 * 16


def test_an_adapter_is_four_a_weight_but_for_what_nothing_learns_below() -> None:
    adapter = 2 * (8 + 8)
    expected = 4 * 3 * LAYER - 2 * READING + 6 * 3 * adapter
    plan = {"method": "lora", "rank": 2, "targets": ("q_proj",)}
    assert count(ONE, **plan) == expected
    more = count(ONE, **plan, checkpointing=True) - expected
    assert more == 2 * 3 * (LAYER + adapter)
    assert count(ONE, **plan | {"method": "qlora"}) == expected


def test_attention_goes_by_the_square_of_a_rows_length() -> None:
    square = Rows(tokens=0, trained=0, squares=100)
    forward = 4 * 3 * 8 * 100
    assert count(square, method="lora", attention="eager") == 3 * forward
    assert count(square, method="lora") == 3.5 * forward
    assert count(square, method="lora", checkpointing=True) == 4.5 * forward


@pytest.mark.parametrize(("method", "passes", "kept"), [("lora", 2, 2), ("full", 4, 3)])
def test_logits_are_made_where_something_is_learnt(method: str, passes: int, kept: int) -> None:
    learnt = Rows(tokens=0, trained=5, squares=0)
    assert count(learnt, method=method) == passes * 2 * 8 * 32 * 5
    everywhere = Rows(tokens=7, trained=5, squares=0)
    whole = count(everywhere, method=method, logits="full") - count(
        msgspec.structs.replace(everywhere, trained=0), method=method
    )
    assert whole == kept * 2 * 8 * 32 * 7


def test_of_experts_only_those_count_that_a_token_is_sent_to() -> None:
    mixtral = LLAMA | {
        "model_type": "mixtral",
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
    }
    shapes, dense = shapes_of(mixtral), shapes_of(LLAMA)
    assert shapes is not None
    assert dense is not None
    mlp = 3 * 8 * 16
    assert work.layer_values(shapes) == work.layer_values(dense) + 3 * (mlp + 8 * 8)
    assert shapes.parameters > 3 * dense.parameters


def test_looking_is_forward_alone() -> None:
    shapes = shapes_of(LLAMA)
    assert shapes is not None
    rows = Rows(tokens=10, trained=4, squares=100)
    found = work.evaluation(shapes, Plan(method="full"), rows)
    assert found == 2 * 3 * LAYER * 10 + 4 * 3 * 8 * 100 + 2 * 8 * 32 * 4
    assert work.evaluation(shapes, Plan(method="full"), rows.times(3)) == 3 * found
