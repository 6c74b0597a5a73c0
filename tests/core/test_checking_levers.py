"""Offloaded activations and early updates: what keeps them from working is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from studio.core import costs, memory
from studio.core.autofit import make_it_fit, make_use_of
from studio.core.cards import machine_with, of_size
from studio.core.facts import Machine, ModelFacts
from studio.core.problem import Problem
from studio.core.problems import check
from studio.core.recipe import DataPart, DatasetPart, Method, ModelPart, Recipe, TrainingPart

OFFLOAD, EARLY = "training.offload_activations", "training.optimizer_in_backward"
GIB = 1 << 30
MODEL = ModelFacts(
    path="m",
    config={
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
        "tie_word_embeddings": False,
    },
)


def card(gigabytes: float, ram: float = 0) -> Machine:
    machine = machine_with(of_size(gigabytes))
    return msgspec.structs.replace(machine, ram_free_bytes=int(ram * GIB))


def recipe(method: Method = "lora", length: int = 2048, **training: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        method=method,
        data=DataPart(max_length=length),
        training=TrainingPart(**training),
    )


def said(wanted: Recipe, machine: Machine | None, field: str) -> list[Problem]:
    return [one for one in check(wanted, machine, MODEL, None) if one.field == field]


def test_offloading_takes_from_the_card_and_gives_to_the_system() -> None:
    plain = recipe(gradient_checkpointing="yes", micro_batch_size=8)
    moved = msgspec.structs.replace(
        plain, training=msgspec.structs.replace(plain.training, offload_activations=True)
    )
    least = 16 * 8 * 2048 * 2048 * 2  # each layer's input
    before, after = (memory.estimate(one, MODEL, card(80)) for one in (plain, moved))
    assert before.parts["activations"] - after.parts["activations"] >= 0.9 * least
    assert before.expected_bytes - after.expected_bytes >= least
    found = costs.costs(moved, MODEL, card(80), checkpointing=True)
    assert found.ram_offload_bytes is not None
    assert least <= found.ram_offload_bytes - costs.PROCESS_BYTES <= 1.2 * least
    assert costs.costs(plain, MODEL, card(80), checkpointing=True).ram_offload_bytes is None


def test_activations_that_travel_are_few() -> None:
    found = memory.estimate(recipe(offload_activations=True), MODEL, card(80))
    assert found.assumed["gradient_checkpointing"] == "yes"
    asked = recipe(offload_activations=True, gradient_checkpointing="no")
    kept = memory.estimate(asked, MODEL, card(80))
    assert kept.assumed["gradient_checkpointing"] == "no"
    assert kept.assumed["offload_activations"] == "yes"


def test_a_processor_has_nothing_to_offload() -> None:
    cpu = Machine(cpu="CPU", cores=8, ram_total_bytes=64 * GIB, ram_free_bytes=64 * GIB)
    wanted = recipe(offload_activations=True)
    [problem] = said(wanted, cpu, OFFLOAD)
    assert problem.severity == "info"
    assert "nothing is saved" in problem.text
    assert memory.estimate(wanted, MODEL, cpu) == memory.estimate(recipe(), MODEL, cpu)
    assert said(wanted, card(24, ram=64), OFFLOAD) == []


def test_system_memory_that_is_too_small_is_named() -> None:
    wanted = recipe(offload_activations=True, gradient_checkpointing="no", micro_batch_size=8)
    [problem] = said(wanted, card(24, ram=4), OFFLOAD)
    assert problem.severity == "warning"
    assert "4.0 GB are free" in problem.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["clipped"]),
        ({"max_grad_norm": 0.0, "micro_batch_size": 4}, ["in one go"]),
        ({"max_grad_norm": 0.0, "dtype": "float16"}, ["overflowed"]),
        ({"micro_batch_size": 1, "dtype": "float16"}, ["clipped", "in one go", "overflowed"]),
    ],
)
def test_early_updates_that_would_change_the_result_are_refused(
    settings: dict[str, Any], words: list[str]
) -> None:
    wanted = recipe("full", optimizer_in_backward=True, **settings)
    found = said(wanted, card(80), EARLY)
    assert all(problem.severity == "error" for problem in found)
    for word, problem in zip(words, found, strict=True):
        assert word in problem.text
    assert "optimizer_in_backward" not in memory.estimate(wanted, MODEL, card(80)).assumed


def test_early_updates_need_no_set_of_gradients() -> None:
    settings: dict[str, Any] = {"max_grad_norm": 0.0, "batch_size": 1, "base_precision": "16"}
    settings["gradient_checkpointing"] = "yes"
    plain = memory.estimate(recipe("full", 512, **settings), MODEL, card(80))
    wanted = recipe("full", 512, optimizer_in_backward=True, **settings)
    assert said(wanted, card(80), EARLY) == []
    early = memory.estimate(wanted, MODEL, card(80))
    parameters = 1_100_000_000
    assert plain.expected_bytes - early.expected_bytes > 2 * 0.8 * parameters
    assert early.phases["optimizer"] == early.parts["weights"] + early.parts["optimizer"]
    [hint] = said(recipe("lora", optimizer_in_backward=True), card(80), EARLY)
    assert hint.severity == "info"


def test_both_are_tried_where_nothing_milder_helps() -> None:
    moved = make_it_fit(recipe("lora", 32768, batch_size=1), MODEL, card(11))
    assert moved.fits
    names = [change.field for change in moved.changes]
    assert "training.gradient_checkpointing" not in names or names.index(OFFLOAD) > 0
    assert OFFLOAD in names
    assert "method" not in names
    settings: dict[str, Any] = {"max_grad_norm": 0.0, "batch_size": 1, "optimizer": "adamw_8bit"}
    full = recipe("full", 512, base_precision="16", gradient_checkpointing="yes", **settings)
    need = memory.estimate(full, MODEL, card(80)).needed_bytes
    early = make_it_fit(full, MODEL, card((need - 0.6 * GIB) / GIB))
    assert early.fits
    assert [change.field for change in early.changes] == [EARLY]
    clipped = msgspec.structs.replace(
        full, training=msgspec.structs.replace(full.training, max_grad_norm=1.0)
    )
    other = make_it_fit(clipped, MODEL, card((need - 0.6 * GIB) / GIB))
    assert EARLY not in [change.field for change in other.changes]


def test_room_that_is_left_brings_activations_back() -> None:
    wanted = recipe(offload_activations=True, micro_batch_size=16)
    found = make_use_of(wanted, MODEL, card(80))
    assert OFFLOAD in [change.field for change in found.changes]
    assert not found.recipe.training.offload_activations
