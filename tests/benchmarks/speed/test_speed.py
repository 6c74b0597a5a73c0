"""What the harness hands out and what it makes of the answers; it runs by itself, not here."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import msgspec
import pytest

from studio.core.recipe import Recipe
from tests.benchmarks.speed import floor, material, ours, table
from tests.benchmarks.speed.plan import Done, Plan

FLOOR = {"bfloat16": 0.001, "float32": 0.004}


def turn(name: str, seconds: float, memory: float = 1e9, loss: float = 1.0) -> Done:
    return Done(
        name=name,
        train_seconds=seconds,
        wall_seconds=seconds + 5,
        peak_bytes=int(memory),
        tokens=1000,
        eval_loss=loss,
    )


def told(*turns: Done) -> dict[str, str]:
    """The table's lines against each peer, by its name."""
    found = table.summary(turns, FLOOR)
    lines = table.lines(found, "lora", 0.05, 0)
    return {line.split()[0]: line for line in lines[len(found) + 2 :]}


def test_medians_count_and_the_targets_are_looked_at() -> None:
    lines = told(turn("plain", 10), turn("ours", 9), turn("ours", 2), turn("ours", 1.9))
    assert "5.00" in lines["plain"]
    assert "SHORT" in lines["plain"]  # memory is not below 0.6
    lean = told(turn("plain", 10), turn("ours", 2, 0.5e9))
    assert "SHORT" not in lean["plain"]
    assert "SHORT" in told(turn("plain", 10), turn("ours", 2.1, 0.5e9))["plain"]
    assert "2.00" in lean["matrix"]  # 2 ms a token, of which 1 ms is products


def test_a_speed_that_costs_loss_is_marked() -> None:
    assert "(!)" in told(turn("trl", 8), turn("ours", 1, 0.1e9, loss=1.02))["trl"]
    assert "(!)" not in told(turn("trl", 8), turn("ours", 1, 0.1e9, loss=1.009))["trl"]


def test_what_is_asked_depends_on_the_contest() -> None:
    assert table.target("plain", "lora", 0.0, 0) == (7.0, 0.6)
    assert table.target("plain", "lora", 0.05, 150_000) == (5.0, 0.5)
    assert table.target("plain", "qlora", 0.05, 0) == (4.0, 0.5)
    assert table.target("plain", "full", 0.05, 0) == (None, None)


@pytest.mark.parametrize(("mean", "longest"), [(180, 512), (1000, 2048)])
def test_rows_have_natural_lengths_and_are_the_same_again(
    mean: int, longest: int, starter_model: Path, tmp_path: Path
) -> None:
    made = material.rows(96, mean, longest, seed=1)
    assert made == material.rows(96, mean, longest, seed=1)
    path = material.write_rows(tmp_path / "rows.jsonl", made)
    every, answers = material.tokens_of(path, starter_model, longest)
    assert 0.5 * every < answers < every
    assert every / len(made) == pytest.approx(mean, rel=0.15)
    lengths = [len(str(row)) for row in made]
    assert statistics.stdev(lengths) > statistics.mean(lengths) / 4


def test_our_turn_is_a_recipe_of_the_studio() -> None:
    plan = Plan(model="m", train="t.jsonl", held_out="h.jsonl", dropout=0.05)
    recipe = msgspec.convert(_listed(ours.recipe(plan, ours.LOW_MEMORY)), Recipe)
    assert recipe.lora.dropout == 0.05
    assert recipe.training.batch_size == plan.batch
    assert recipe.training.gradient_checkpointing == "yes"


def test_the_floor_counts_every_product_of_a_layer() -> None:
    config = {
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 3,
        "vocab_size": 100,
    }
    found = list(floor.products(config, {"method": "full", "rank": 2}, 0.5))
    weights = sum(one.inputs * one.outputs * one.count for one in found)
    assert weights == 3 * (8 * 8 * 2 + 2 * 8 * 4 + 3 * 8 * 16) + 800
    adapted = list(floor.products(config, {"method": "lora", "rank": 2}, 0.5))
    assert len(adapted) == len(found) + 14


def _listed(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"model": {"path": data["model"]}, "dataset": [{"path": data["dataset"]}]}
