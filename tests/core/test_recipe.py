"""A recipe on disk is short for people and whole for the engine."""

from __future__ import annotations

import msgspec
import pytest
import yaml

from studio.core.reading import read
from studio.core.recipe import (
    VERSION,
    DataPart,
    DatasetPart,
    LoraPart,
    ModelPart,
    Recipe,
    TrainingPart,
    learning_rate,
    short,
    to_yaml,
)

SMALLEST = Recipe(
    model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),), method="qlora"
)


def test_the_smallest_recipe_is_the_one_the_manual_shows() -> None:
    assert yaml.safe_load(to_yaml(SMALLEST)) == {
        "version": VERSION,
        "task": "causal-lm",
        "model": "starter",
        "dataset": "sample",
        "method": "qlora",
    }


def test_only_what_differs_is_written() -> None:
    recipe = msgspec.structs.replace(
        SMALLEST,
        model=ModelPart(path="org/model", revision="abc"),
        dataset=(DatasetPart(path="a.jsonl", weight=2.0), DatasetPart(path="b.csv")),
        lora=LoraPart(rank=8, target_modules=("q_proj", "v_proj")),
        training=TrainingPart(epochs=1.0),
    )
    assert short(recipe) == {
        "version": VERSION,
        "task": "causal-lm",
        "model": {"path": "org/model", "revision": "abc"},
        "dataset": [{"path": "a.jsonl", "weight": 2.0}, {"path": "b.csv"}],
        "method": "qlora",
        "lora": {"rank": 8, "target_modules": ["q_proj", "v_proj"]},
        "training": {"epochs": 1.0},
    }


def test_the_learning_rate_left_open_is_the_methods_own() -> None:
    assert learning_rate(SMALLEST) == 2e-4
    full = msgspec.structs.replace(SMALLEST, method="full")
    assert learning_rate(full) == 2e-5
    asked = msgspec.structs.replace(SMALLEST, training=TrainingPart(learning_rate=1e-3))
    assert learning_rate(asked) == 1e-3


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(AttributeError):
        SMALLEST.method = "full"  # type: ignore[misc]


def test_rules_for_rows_are_written_as_lists() -> None:
    data = DataPart(drop=("duplicate", "cut-answer"), repair=("trim",), group_by="author")
    recipe = msgspec.structs.replace(SMALLEST, data=data)
    assert short(recipe)["data"] == {
        "group_by": "author", "drop": ["duplicate", "cut-answer"], "repair": ["trim"],
    }  # fmt: skip
    assert read(yaml.safe_load(to_yaml(recipe))) == (recipe, [])
