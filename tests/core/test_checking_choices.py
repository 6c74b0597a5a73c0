"""Choices that the field advises against are named, with a source, and never forbidden."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from studio.core.cards import machine_with, of_size
from studio.core.choices import FACTS
from studio.core.facts import DatasetReport, ModelFacts
from studio.core.problem import Problem
from studio.core.problems import check
from studio.core.recipe import DatasetPart, LoraPart, ModelPart, Recipe, TrainingPart

MODEL = ModelFacts(
    path="m",
    parameters=1_235_814_400,
    config={
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128256,
        "tie_word_embeddings": True,
    },
    linear_modules=("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"),
)
ROWS = DatasetReport(
    path="d",
    format="messages",
    confidence=1.0,
    rows=5000,
    usable_rows=5000,
    tokens=500_000,
    trained_tokens=300_000,
    max_tokens=400,
)
CARD = machine_with(of_size(48))


def recipe(**changes: Any) -> Recipe:
    whole = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),))
    return msgspec.structs.replace(whole, **changes)


def found(one: Recipe, rows: DatasetReport = ROWS) -> dict[str, Problem]:
    return {problem.field: problem for problem in check(one, CARD, MODEL, rows)}


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_fact_has_its_source(name: str) -> None:
    fact = FACTS[name]
    assert fact.says.endswith(".")
    for address in fact.source.split(" ; "):
        parts = urlsplit(address)
        assert parts.scheme == "https"
        assert parts.path.strip("/")


@pytest.mark.parametrize(
    ("choice", "field", "severity"),
    [
        ({"training": TrainingPart(learning_rate=5e-3)}, "training.learning_rate", "warning"),
        ({"lora": LoraPart(rank=512, alpha=512)}, "lora.rank", "warning"),
        ({"lora": LoraPart(rank=300, alpha=300)}, "lora.rank", "warning"),
        ({"lora": LoraPart(rank=16, alpha=512)}, "lora.alpha", "warning"),
        ({"lora": LoraPart(dropout=0.5)}, "lora.dropout", "warning"),
        (
            {"lora": LoraPart(target_modules=("q_proj", "v_proj"))},
            "lora.target_modules",
            "info",
        ),
        ({"training": TrainingPart(batch_size=512)}, "training.batch_size", "info"),
        (
            {"training": TrainingPart(optimizer="paged_adamw_8bit")},
            "training.optimizer",
            "info",
        ),
    ],
)
def test_a_choice_that_is_rarely_wanted(choice: dict[str, Any], field: str, severity: str) -> None:
    problem = found(recipe(**choice))[field]
    assert problem.severity == severity
    assert problem.source.startswith("https://")
    assert problem.fix.endswith(".")


@pytest.mark.parametrize(
    "choice",
    [
        {"lora": LoraPart(rank=256, alpha=256)},
        {"lora": LoraPart(target_modules=("gate_proj", "up_proj", "down_proj"))},
        {"training": TrainingPart(batch_size=64, warmup_share=0.1)},
        {"lora": LoraPart(dropout=0.1)},
        {"training": TrainingPart(optimizer="adamw_8bit")},
        {"method": "full", "training": TrainingPart(optimizer="paged_adamw", batch_size=512)},
    ],
)
def test_what_the_field_does_is_not_named(choice: dict[str, Any]) -> None:
    problems = found(recipe(**choice))
    assert {one.field for one in problems.values()} <= {"method", "training.keep_checkpoints"}


def test_a_rank_wider_than_the_layer() -> None:
    problem = found(recipe(lora=LoraPart(rank=600, alpha=600)))["lora.rank"]
    assert "512 values" in problem.text


def test_a_warm_up_as_long_as_the_run() -> None:
    problem = found(recipe(training=TrainingPart(warmup_share=0.5)))["training.warmup_share"]
    assert "50%" in problem.text


def test_a_run_of_a_few_steps() -> None:
    few = msgspec.structs.replace(ROWS, usable_rows=60)
    assert "10 steps" not in str(found(recipe(), few))
    one = recipe(training=TrainingPart(epochs=1.0))
    problem = found(one, few)["training.batch_size"]
    assert "3 steps" in problem.text
    assert problem.severity == "info"


def test_the_usual_rate_is_said_for_the_method() -> None:
    full = recipe(method="full", training=TrainingPart(learning_rate=1e-3))
    assert "2e-05" in found(full)["training.learning_rate"].fix
