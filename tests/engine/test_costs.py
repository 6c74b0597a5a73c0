"""What is said of files and operations beforehand is what a real run writes and computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from studio.core import commands, costs, disk, work
from studio.core.costs import Costs
from studio.core.facts import DatasetReport
from studio.core.recipe import LoraPart, Recipe
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.plan import plan_of
from studio.engine import memory, merge, setup, speed, train
from studio.engine.checkpoint import Checkpoints, size
from studio.engine.control import Control
from studio.engine.learner import Learner
from studio.library import models, speeds
from studio.library.folders import Home
from tests.engine.making import context_of, recipe, run_folder
from tests.support import random_models

WITHIN = 0.01
DATASET = DatasetReport(path="d", format="text", confidence=1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Large enough for its files to be weights and little else."""
    return random_models.build(tmp_path_factory.mktemp("models") / "llama", "llama", tiny_model)


def predicted(home: Home, wanted: Recipe) -> Costs:
    facts = models.inspect(Path(wanted.model.path))
    return costs.costs(wanted, facts, memory.machine(home), DATASET)


def trained(home: Home, wanted: Recipe, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with its checkpoints still in it."""
    monkeypatch.setattr(Checkpoints, "discard", lambda self: None)
    folder = run_folder(home, wanted, train=8, evaluate=2)
    train.run(context_of(home, folder))
    return folder


def near(predicted: int | None, real: int) -> None:
    assert predicted is not None
    assert abs(predicted - real) <= WITHIN * real, f"{predicted:,} for {real:,}"


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_8bit"])
def test_the_files_of_an_adapters_run_are_as_large_as_said(
    home: Home, starter_model: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(starter_model, max_steps=1, batch_size=1, optimizer=optimizer, dtype="float32")
    wanted = msgspec.structs.replace(wanted, lora=LoraPart(rank=16))
    said_before = predicted(home, wanted)
    folder = trained(home, wanted, monkeypatch)
    near(said_before.checkpoint_bytes, size(folder / "checkpoints" / "step-00000001"))
    (best,) = (folder / "checkpoints").glob("best-*")
    need = disk.needed(wanted, models.inspect(starter_model), memory.machine(home))
    assert need is not None
    near(need.best_bytes, size(best))
    adapter = folder / "adapter" / "adapter_model.safetensors"
    near(said_before.adapter_bytes, adapter.stat().st_size)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_files_of_a_small_models_run_are_as_large_as_said(
    home: Home, model: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(model, method, max_steps=1, batch_size=2)
    said_before = predicted(home, wanted)
    folder = trained(home, wanted, monkeypatch)
    near(said_before.checkpoint_bytes, size(folder / "checkpoints" / "step-00000001"))
    if method == "full":
        (made,) = home.models.glob("*/model.safetensors")
        near(said_before.merged_bytes, made.stat().st_size)


def test_a_merged_model_is_as_large_as_said(
    home: Home, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(model, max_steps=1, batch_size=2)
    folder = trained(home, wanted, monkeypatch)
    job = commands.Merge(
        adapter=str(folder / "adapter"), out=str(tmp_path / "out"), base=str(model)
    )
    merge.run(context_of(home, folder, job))
    merged = sum(file.stat().st_size for file in (tmp_path / "out").glob("*.safetensors"))
    near(predicted(home, wanted).merged_bytes, merged)


def product(
    added: tuple[int, ...], left: tuple[int, ...], right: tuple[int, ...], *rest: Any, **named: Any
) -> int:
    """Operations of a product that is added to what is there, from its shapes."""
    return 2 * left[0] * left[1] * right[1]


@pytest.mark.parametrize("checkpointing", ["no", "yes"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_operations_of_a_step_are_those_that_were_reckoned(
    home: Home, model: Path, method: str, checkpointing: str
) -> None:
    """Counted, not timed; rows of one length, for padding is computed and not counted."""
    wanted = recipe(model, method, batch_size=4, gradient_checkpointing=checkpointing)
    folder = run_folder(home, wanted, train=4, evaluate=0)
    context = context_of(home, folder)
    control = Control(context.channel)
    ready = setup.make(context, control)
    learner = Learner(context, ready, 1, control)
    rows = [ready.train_rows[0]] * 4
    added = {torch.ops.aten.addmm_: product}  # the counter knows addmm alone
    with FlopCounterMode(display=False, custom_mapping=added) as counter:
        learner.step(rows)
    shapes = shapes_of(ready.facts.config)
    assert shapes is not None
    plan = plan_of(wanted, memory.machine(home), checkpointing=checkpointing == "yes")
    reckoned = work.training(shapes, plan, speed.rows_of(rows))
    real = counter.get_total_flops()
    assert abs(reckoned - real) <= 0.02 * real, f"{reckoned / real:.3f}"


def test_a_finished_run_says_how_fast_the_machine_is(
    home: Home, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "SHORTEST_SECONDS", 0.0)
    wanted = recipe(model, max_steps=3, batch_size=4)
    trained(home, wanted, monkeypatch)
    (kept,) = speeds.kept(home)
    assert (kept.key.method, kept.key.dtype) == ("lora", "float32")
    assert kept.key.device == memory.machine(home).cpu
    assert kept.flops > 1e6
