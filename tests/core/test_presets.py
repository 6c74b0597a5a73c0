"""Presets for a card's size: they fit, longer rows first, and nothing else is changed."""

from __future__ import annotations

from typing import get_args

import pytest

from studio.core import cards, memory, presets
from studio.core.facts import ModelFacts
from studio.core.memory import BREAKDOWN
from studio.core.part_words import PART_WORDS
from studio.core.presets import CardPreset, preset
from studio.core.problems import check
from studio.core.recipe import DatasetPart, Method, ModelPart, Recipe
from studio.library.catalogue import known

METHODS: tuple[Method, ...] = get_args(Method)
RECIPE = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),), name="mine")


def model(hub_id: str) -> ModelFacts:
    return next(one.facts() for one in known() if one.id == hub_id)


SMOL = model("HuggingFaceTB/SmolLM2-135M")
EIGHT = model("Qwen/Qwen3-8B")


def offered(gigabytes: int, method: Method, facts: ModelFacts | None) -> CardPreset:
    found = preset(gigabytes, method, RECIPE, facts)
    assert found
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gigabytes", presets.SIZES)
def test_every_size_and_method_has_a_preset_that_raises_no_problem(
    gigabytes: int, method: Method
) -> None:
    found = offered(gigabytes, method, None)
    changed = found.apply(RECIPE)
    assert changed.name == "mine"
    assert changed.method == method
    assert found.text.endswith(".")
    assert f"{changed.data.max_length:,} tokens" in found.text
    assert check(changed, None, None, None) == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gigabytes", presets.SIZES)
def test_a_preset_for_a_model_fits_its_card(gigabytes: int, method: Method) -> None:
    machine = cards.machine_with(cards.of_size(gigabytes))
    for facts in (SMOL, EIGHT):
        if found := preset(gigabytes, method, RECIPE, facts):
            estimate = memory.estimate(found.apply(RECIPE), facts, machine, advise=False)
            assert estimate.verdict == "fits"
            assert found.estimate == estimate


def test_a_large_model_gets_a_preset_where_it_fits_only() -> None:
    assert preset(6, "lora", RECIPE, EIGHT) is None
    assert preset(48, "full", RECIPE, EIGHT) is None
    assert offered(24, "qlora", EIGHT).values["data.max_length"] >= 1024


def test_more_memory_is_never_fewer_tokens() -> None:
    for method in METHODS:
        found = [preset(size, method, RECIPE, EIGHT) for size in presets.SIZES]
        lengths = [one.values["data.max_length"] if one else 0 for one in found]
        assert lengths == sorted(lengths)


def test_rows_are_no_longer_than_the_model_sees() -> None:
    gpt2 = model("openai-community/gpt2")
    assert offered(48, "lora", gpt2).values["data.max_length"] == 1024


def test_a_strange_model_gets_none() -> None:
    strange = ModelFacts(path="m", config={"model_type": "new"})
    assert preset(24, "lora", RECIPE, strange) is None


def test_every_part_of_an_estimate_has_its_words() -> None:
    estimate = memory.estimate(RECIPE, SMOL)
    assert set(PART_WORDS) >= {*BREAKDOWN, *estimate.parts, "others", "reserve"}
    for words in PART_WORDS.values():
        assert words.title
        assert words.what.endswith(".")
        assert words.shrink.endswith(".")
