"""What a run takes on disk: figures that can be reckoned by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from studio.core import disk
from studio.core.disk import Need
from studio.core.problems import check
from studio.core.recipe import DataPart, DatasetPart, LoraPart, ModelPart, Recipe, TrainingPart
from tests.core.test_checking import CPU, MODEL, ROWS

MB = 10**6
Q_PROJ = 32 * (4096 + 4096)
"""Values that an adapter of rank 1 on q_proj learns in an 8B Llama."""


def recipe(method: str = "lora", eval_share: float = 0.1, **training: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        method=method,  # type: ignore[arg-type]
        lora=LoraPart(rank=1, target_modules=("q_proj",)),
        data=DataPart(eval_share=eval_share),
        training=TrainingPart(**training),
    )


def need(wanted: Recipe, tokens: int = 0) -> Need:
    found = disk.needed(wanted, MODEL, CPU, tokens)
    assert found is not None
    return found


def near(count: int, bytes: int) -> bool:
    """Whether it is so many bytes and what its files need beside them."""
    return bytes < count < bytes + 100_000


def test_an_adapters_checkpoint_is_its_weights_and_two_states() -> None:
    found = need(recipe())
    assert near(found.checkpoint_bytes, 12 * Q_PROJ)
    assert near(found.best_bytes, 4 * Q_PROJ)
    assert near(found.result_bytes, 2 * 4 * Q_PROJ)
    # two are kept, a third is being written; so are the best weights that each knows of
    assert found.total_bytes == (3 * (found.checkpoint_bytes + found.best_bytes) + disk.SPARE_BYTES)


def test_what_is_kept_and_learnt_counts() -> None:
    two, five = need(recipe()), need(recipe(keep_checkpoints=5))
    more = five.total_bytes - two.total_bytes
    assert more == 3 * (two.checkpoint_bytes + two.best_bytes)
    assert need(recipe(keep_best=False)).best_bytes == 0
    assert need(recipe(eval_share=0.0)).best_bytes == 0
    assert need(recipe(optimizer="adamw_8bit")).checkpoint_bytes < 0.6 * two.checkpoint_bytes
    assert need(recipe(), tokens=1000).total_bytes - two.total_bytes == 16_000


def test_the_model_of_full_fine_tuning_counts_where_it_is_the_most() -> None:
    wanted = recipe("full", keep_checkpoints=1, keep_best=False, optimizer="adafactor")
    found = need(wanted)
    assert near(found.result_bytes, 2 * MODEL.parameters)
    assert found.total_bytes == 2 * found.checkpoint_bytes + disk.SPARE_BYTES
    heavy = msgspec.structs.replace(MODEL, tensor_bytes=100 * MODEL.parameters)
    other = disk.needed(wanted, heavy, CPU)
    assert other is not None
    assert other.total_bytes == other.checkpoint_bytes + other.result_bytes + disk.SPARE_BYTES
    assert near(other.result_bytes, 100 * MODEL.parameters)


def test_of_an_unknown_architecture_nothing_is_said() -> None:
    unknown = msgspec.structs.replace(MODEL, config={})
    assert disk.needed(recipe(), unknown, CPU) is None


@pytest.mark.parametrize(
    ("free", "field"), [(10**15, None), (300 * 10**9, "training.keep_checkpoints"), (MB, "method")]
)
def test_too_small_a_disk_blocks_with_numbers(free: int, field: str | None) -> None:
    machine = msgspec.structs.replace(CPU, disk_free_bytes=free)
    found = [p for p in check(recipe("full"), machine, MODEL, ROWS) if "disk" in p.text]
    assert [(p.field, p.severity) for p in found] == ([(field, "error")] if field else [])
    if field:
        assert "GB a checkpoint" in found[0].text
        assert ("keep_checkpoints to 1" in found[0].fix) == (field != "method")


def test_the_rule_is_said_in_words() -> None:
    assert disk.keeping_rule(TrainingPart()) == "Keeps the newest 2 checkpoints and the best."
    alone = TrainingPart(keep_checkpoints=1, keep_best=False)
    assert disk.keeping_rule(alone) == "Keeps the newest checkpoint."
