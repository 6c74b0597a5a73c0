"""Which method, and why; presets."""

from __future__ import annotations

import msgspec
import pytest

from studio.core import advice, memory, problems
from studio.core.facts import DatasetReport, Gpu, Machine, ModelFacts
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe, TrainingPart

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


def test_a_large_set_may_pay_for_full_fine_tuning() -> None:
    small = ModelFacts(path="m", config=MISTRAL.config | {"hidden_size": 512, "head_dim": 128})
    rows = DatasetReport(path="d", format="text", confidence=1.0, trained_tokens=400_000_000)
    found = advice.recommend(small, card(80), dataset=rows)
    assert found.method == "full"
    assert "400 million tokens" in found.reason
    assert found.source.startswith("https://")
    few = msgspec.structs.replace(rows, trained_tokens=300_000)
    assert advice.recommend(small, card(80), dataset=few).method == "lora"
    assert advice.recommend(MISTRAL, card(80), dataset=rows).method == "lora"


def test_long_rows_are_the_reason_for_four_bits_where_they_are() -> None:
    long = Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        data=DataPart(max_length=16384),
        training=TrainingPart(gradient_checkpointing="yes", micro_batch_size=1),
    )
    short = memory.estimate(at_length(long, 512), MISTRAL, card(80)).needed_bytes
    rows = memory.estimate(long, MISTRAL, card(80)).needed_bytes
    machine = card((short + rows) // 2 // GIB)
    found = advice.recommend(MISTRAL, machine, long)
    assert found.method == "qlora"
    assert "16,384 tokens" in found.reason
    brief = advice.recommend(MISTRAL, machine, at_length(long, 512))
    assert brief.method == "lora"


def at_length(recipe: Recipe, length: int) -> Recipe:
    data = msgspec.structs.replace(recipe.data, max_length=length)
    return msgspec.structs.replace(recipe, data=data)


def test_settings_that_are_too_large_are_not_the_model_s_fault() -> None:
    training = TrainingPart(gradient_checkpointing="no", micro_batch_size=16)
    heavy = Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        data=DataPart(max_length=2048),
        training=training,
    )
    assert "checkpointing it fits" in advice.recommend(MISTRAL, card(16), heavy).reason
    assert "smaller model" in advice.recommend(MISTRAL, card(4), heavy).reason
