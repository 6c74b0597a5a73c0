"""Make it fit: it fits or nothing smaller was found, little is changed, and nothing needlessly."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core import memory
from studio.core.autofit import Fitted, make_it_fit, make_use_of
from studio.core.cards import machine_with, of_size
from studio.core.facts import Machine, ModelFacts
from studio.core.lengths import Lengths, binned
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    LoraPart,
    Method,
    ModelPart,
    Recipe,
    TrainingPart,
)
from studio.core.savings import changed

GIB = 1 << 30


def facts(hidden: int, layers: int, vocabulary: int = 32000) -> ModelFacts:
    return ModelFacts(
        path="m",
        config={
            "model_type": "llama",
            "hidden_size": hidden,
            "intermediate_size": 4 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // 64,
            "num_key_value_heads": hidden // 64,
            "vocab_size": vocabulary,
            "tie_word_embeddings": False,
        },
    )


SEVEN = facts(4096, 24)
SMALL = facts(1024, 16)
CPU = Machine(cpu="CPU", cores=8, ram_total_bytes=8 * GIB, ram_free_bytes=4 * GIB)


def card(gigabytes: float) -> Machine:
    return machine_with(of_size(gigabytes))


def recipe(method: Method = "lora", length: int = 1024, **training: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        method=method,
        data=DataPart(max_length=length),
        training=TrainingPart(**training),
    )


def lengths(*rows: int) -> Lengths:
    """Rows of these tokens, all of them trained."""
    bins = binned(max(rows)) + 1
    counts, tokens, begins, ends = ([0] * bins for _ in range(4))
    trained = [0] * bins
    for row in rows:
        counts[binned(row)] += 1
        tokens[binned(row)] += row
        begins[0] += 1
        ends[binned(row)] += 1
    return Lengths(
        rows=tuple(counts),
        tokens=tuple(tokens),
        trained=tuple(trained),
        begins=tuple(begins),
        ends=tuple(ends),
    )


def fields(found: Fitted) -> list[str]:
    return [change.field for change in found.changes]


recipes = st.builds(
    Recipe,
    model=st.just(ModelPart(path="m")),
    dataset=st.just((DatasetPart(path="d"),)),
    method=st.sampled_from(["full", "lora", "qlora"]),
    lora=st.builds(LoraPart, rank=st.sampled_from([1, 4, 8, 16, 48, 256])),
    data=st.builds(DataPart, max_length=st.sampled_from([64, 300, 512, 2048, 8192])),
    training=st.builds(
        TrainingPart,
        batch_size=st.integers(1, 48),
        micro_batch_size=st.integers(0, 24),
        learning_rate=st.sampled_from([0.0, 1e-4]),
        optimizer=st.sampled_from(
            ["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adafactor"]
        ),
        dtype=st.sampled_from(["auto", "float32", "float16"]),
        offload_activations=st.booleans(),
        optimizer_in_backward=st.booleans(),
        max_grad_norm=st.sampled_from([0.0, 1.0]),
        base_precision=st.sampled_from(["auto", "16", "32", "8"]),
        gradient_checkpointing=st.sampled_from(["auto", "yes", "no"]),
    ),
)
machines = st.one_of(st.floats(0.5, 40).map(card), st.just(CPU))
models = st.sampled_from([SEVEN, SMALL])
rows = st.one_of(st.none(), st.lists(st.integers(1, 6000), min_size=1, max_size=40))


@settings(max_examples=150, deadline=None)
@given(recipe=recipes, model=models, machine=machines, rows=rows)
def test_whatever_is_asked(
    recipe: Recipe, model: ModelFacts, machine: Machine, rows: list[int] | None
) -> None:
    known = lengths(*rows) if rows else None
    longest = known.fits(1.0) if known else 0
    before = memory.estimate(recipe, model, machine, longest, False)
    found = make_it_fit(recipe, model, machine, lengths=known)
    assert found.estimate == memory.estimate(found.recipe, model, machine, longest, False)
    assert found.fits == (found.estimate.verdict == "fits")
    assert found.estimate.needed_bytes <= before.needed_bytes
    assert found.recipe.training.batch_size == recipe.training.batch_size
    if before.verdict == "fits":
        assert found.recipe == recipe
    rebuilt = recipe
    for change in found.changes:
        other = changed(recipe, change.field, change.value)
        assert other != recipe
        rebuilt = changed(rebuilt, change.field, change.value)
        assert change.saves_bytes >= 0
        assert change.text
        assert change.costs.endswith(".")
    assert rebuilt == found.recipe
    assert len(set(fields(found))) == len(found.changes)
    _nothing_is_needless(recipe, found, model, machine, longest)
    if before.verdict != "fits" and not found.fits:
        smallest = memory.estimate(least(recipe, known), model, machine, longest, False)
        assert found.estimate.needed_bytes <= smallest.needed_bytes
    again = make_it_fit(found.recipe, model, machine, lengths=known)
    assert again.estimate.needed_bytes == found.estimate.needed_bytes
    assert again.recipe == found.recipe


def least(recipe: Recipe, known: Lengths | None) -> Recipe:
    """Everything at its smallest at once."""
    length = min(recipe.data.max_length, known.fits(0.9) if known else 256)
    for field, value in {
        "method": "qlora",
        "data.max_length": length,
        "training.micro_batch_size": 1,
        "training.gradient_checkpointing": "yes",
    }.items():
        recipe = changed(recipe, field, value)
    if recipe.training.optimizer in ("adamw", "paged_adamw"):
        recipe = changed(recipe, "training.optimizer", "adamw_8bit")
    return recipe


def _nothing_is_needless(
    recipe: Recipe, found: Fitted, model: ModelFacts, machine: Machine, longest: int
) -> None:
    for left_out in found.changes:
        other = recipe
        for change in found.changes:
            if change is not left_out:
                other = changed(other, change.field, change.value)
        without = memory.estimate(other, model, machine, longest, False)
        assert without.needed_bytes > found.estimate.needed_bytes
        if found.fits:
            assert without.verdict != "fits"


def test_a_run_that_fits_stays_as_it_is() -> None:
    one = recipe(gradient_checkpointing="no")
    assert make_it_fit(one, SMALL, card(24)).recipe is one


@pytest.mark.parametrize(
    ("method", "gigabytes", "expected"),
    [("full", 24, "lora"), ("full", 12, "qlora"), ("lora", 12, "qlora")],
)
def test_the_method_goes_as_far_down_as_it_must(
    method: Method, gigabytes: float, expected: str
) -> None:
    found = make_it_fit(recipe(method), SEVEN, card(gigabytes))
    assert found.fits
    assert found.recipe.method == expected
    assert fields(found)[-1] == "method"
    assert found.changes[-1].saves_bytes > 2 * GIB


def test_what_keeps_the_result_goes_before_what_does_not() -> None:
    one = recipe(length=2048, micro_batch_size=16, gradient_checkpointing="no")
    whole = memory.estimate(one, SMALL, card(80)).needed_bytes
    found = make_it_fit(one, SMALL, card(whole / GIB / 2))
    assert found.fits
    assert set(fields(found)) <= {"training.micro_batch_size", "training.gradient_checkpointing"}
    assert found.recipe.training.batch_size == 16


def test_micro_batches_are_no_smaller_than_they_must_be() -> None:
    one = recipe(length=2048, micro_batch_size=16, gradient_checkpointing="no")
    need = [
        memory.estimate(changed(one, "training.micro_batch_size", size), SMALL, card(80))
        for size in (8, 4)
    ]
    between = (need[0].needed_bytes + need[1].needed_bytes) / 2 / GIB
    found = make_it_fit(one, SMALL, card(between + 0.5))
    assert found.recipe.training.micro_batch_size == 4
    assert fields(found) == ["training.micro_batch_size"]
    assert "16 → 4, added up over 4" in found.changes[0].text


def test_rows_are_cut_last_and_only_as_many_as_must_be() -> None:
    known = lengths(*[400] * 95, *[900] * 4, 8000)
    one = recipe("qlora", 8192, gradient_checkpointing="yes", optimizer="adamw_8bit")
    enough = changed(one, "data.max_length", known.fits(0.99))
    need = memory.estimate(enough, SEVEN, card(80), advise=False).needed_bytes
    machine = card(need / GIB + 0.51)
    found = make_it_fit(one, SEVEN, machine, lengths=known)
    assert found.fits
    change = next(change for change in found.changes if change.field == "data.max_length")
    assert 900 <= change.value < 950
    assert change.costs == "1 of 100 rows lose their end."


def test_where_nothing_fits_the_smallest_is_found() -> None:
    found = make_it_fit(recipe("full"), SEVEN, card(2))
    assert not found.fits
    assert found.recipe.method == "qlora"
    assert found.recipe.data.max_length == 256
    assert found.recipe.training.micro_batch_size == 1


def test_an_old_card_is_not_offered_four_bits() -> None:
    machine = card(8)
    gpu = msgspec.structs.replace(machine.gpus[0], compute_capability=(5, 2))
    old = msgspec.structs.replace(machine, gpus=(gpu,))
    assert make_it_fit(recipe(), SEVEN, old).recipe.method == "lora"


def test_paging_is_not_offered_where_nothing_pages() -> None:
    found = make_it_fit(recipe("full"), SEVEN, CPU)
    assert "paged" not in found.recipe.training.optimizer


def test_an_unknown_model_or_machine_changes_nothing() -> None:
    one = recipe("full")
    strange = ModelFacts(path="m", config={"model_type": "new"})
    for model, machine in ((strange, card(4)), (None, card(4)), (SEVEN, None)):
        found = make_it_fit(one, model, machine)
        assert found.recipe is one
        assert not found.fits


def test_room_is_made_use_of() -> None:
    one = recipe("qlora", gradient_checkpointing="yes", optimizer="adamw_8bit", micro_batch_size=1)
    found = make_use_of(one, SMALL, card(48))
    assert found.fits
    assert found.recipe.method == "lora"
    assert found.recipe.training.gradient_checkpointing == "no"
    assert found.recipe.training.optimizer == "adamw"
    assert found.recipe.training.micro_batch_size == 16
    assert all(change.saves_bytes < 0 for change in found.changes)
    assert len(set(fields(found))) == len(found.changes) == 4


def test_no_room_is_no_use() -> None:
    one = recipe("qlora", gradient_checkpointing="yes", micro_batch_size=1)
    need = memory.estimate(one, SEVEN, card(80)).needed_bytes / GIB
    assert make_use_of(one, SEVEN, card(need + 0.51)).recipe == one
    assert make_use_of(one, SEVEN, card(2)).recipe is one


def test_what_was_measured_here_and_the_ways_are_reckoned_with() -> None:
    one = recipe(gradient_checkpointing="no", micro_batch_size=8)
    machine = card(memory.estimate(one, SMALL, card(80)).needed_bytes / GIB)
    assert make_it_fit(one, SMALL, machine).changes
    assert make_it_fit(one, SMALL, machine, calibration=0.5).recipe is one
    roomy = card(memory.estimate(one, SMALL, card(80)).needed_bytes / GIB + 0.51)
    assert make_it_fit(one, SMALL, roomy).recipe is one
    assert make_it_fit(one, SMALL, roomy, ways=memory.Ways(attention="eager")).changes
