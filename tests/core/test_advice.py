"""Which method, and why; presets."""

from __future__ import annotations

import pytest

from studio.core import advice, problems
from studio.core.facts import Gpu, Machine, ModelFacts
from studio.core.recipe import DatasetPart, ModelPart, Recipe

GIB = 1 << 30
MISTRAL = ModelFacts(
    path="m",
    config={
        "model_type": "mistral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
    },
)


def card(gib: int) -> Machine:
    total = gib * GIB
    gpu = Gpu(
        index=0,
        name=f"Card {gib}",
        total_bytes=total,
        used_bytes=0,
        free_bytes=total,
        compute_capability=(8, 9),
    )
    return Machine(gpus=(gpu,))


@pytest.mark.parametrize(
    ("gib", "method", "verdict"),
    [(80, "lora", "fits"), (12, "qlora", "fits"), (4, "qlora", "too big")],
)
def test_the_method_follows_the_card(gib: int, method: str, verdict: str) -> None:
    found = advice.recommend(MISTRAL, card(gib))
    assert found.method == method
    assert found.verdicts[found.method] == verdict
    assert found.reason.endswith(".")
    assert f"Card {gib}" in found.reason


def test_full_fine_tuning_of_a_7b_model_fits_no_desktop_card() -> None:
    assert advice.recommend(MISTRAL, card(24)).verdicts["full"] == "too big"


def test_an_unknown_architecture_gets_the_usual_choice_and_no_promise() -> None:
    found = advice.recommend(ModelFacts(path="m", config={"model_type": "new"}), card(24))
    assert found.method == "lora"
    assert set(found.verdicts.values()) == {"unknown"}


def test_presets_change_what_they_name_and_nothing_else() -> None:
    recipe = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),), name="mine")
    for preset in advice.PRESETS:
        changed = advice.apply(preset, recipe)
        assert changed.name == "mine"
        assert changed.training.epochs == preset.training["epochs"]
        assert changed.lora.rank == preset.lora["rank"]
        assert changed.training.seed == recipe.training.seed


def test_a_preset_undoes_the_one_before() -> None:
    recipe = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),))
    quick, balanced, thorough = advice.PRESETS
    assert advice.apply(balanced, advice.apply(thorough, recipe)) == advice.apply(balanced, recipe)
    assert advice.apply(quick, recipe).training.early_stopping_patience == 0


def test_presets_raise_no_problem() -> None:
    recipe = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),))
    for preset in advice.PRESETS:
        assert problems.check(advice.apply(preset, recipe), None, None, None) == []
