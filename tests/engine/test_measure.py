"""Measuring: real steps of the heaviest batch, true bytes by part, and nothing kept but a ratio."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from studio.core import calibration, memory
from studio.core import events as ev
from studio.core.commands import Cancel, Measure
from studio.core.errors import StudioError
from studio.core.recipe import Recipe
from studio.engine import load, measure, peaks, setup, tensors
from studio.engine import memory as held
from studio.engine.control import Control
from studio.library import calibrations, jobs, models
from studio.library.folders import Home, JobFolder
from tests.engine.making import context_of, recipe, run_folder, said


def measured(home: Home, wanted: Recipe, **rows: int) -> dict[str, Any]:
    folder = run_folder(home, wanted, **rows)
    measure.run(context_of(home, folder, Measure(steps=1)))
    [done] = said(folder, ev.Finished)
    result: dict[str, Any] = done.result
    return result


def test_the_longest_rows_are_measured_and_nothing_is_kept(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, batch_size=4))
    before = sorted(path.name for path in folder.iterdir())
    context = context_of(home, folder, Measure(steps=2))
    measure.run(context)
    result = said(folder, ev.Finished)[0].result
    ready = setup.make(context, Control(context.channel))
    longest = sorted(ready.train_rows.lengths.tolist(), reverse=True)[:4]
    assert result["tokens"] == sum(longest)
    assert result["seconds"] > 0
    assert result["tokens_per_second"] > 0
    assert not list(home.adapters.iterdir())
    assert not JobFolder(folder).checkpoints.exists()
    assert {path.name for path in folder.iterdir()} - set(before) <= {"decided.json"}


def test_a_large_batch_is_not_measured_whole(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, batch_size=400, micro_batch_size=2), train=100)
    context = context_of(home, folder)
    ready = setup.make(context, Control(context.channel))
    rows = measure.longest_rows(ready)
    most = measure.MOST_MICRO_BATCHES * 2 * ready.train_rows.longest
    assert most - ready.train_rows.longest < sum(len(row) for row in rows) <= most


@pytest.mark.parametrize("method", ["full", "lora"])
def test_parts_are_those_of_real_tensors(home: Home, tiny_model: Path, method: str) -> None:
    wanted = recipe(tiny_model, method, gradient_checkpointing="no")
    result = measured(home, wanted)
    parts = result["parts"]
    reckoned = memory.estimate(wanted, models.inspect(tiny_model), held.machine(home)).parts
    for name in ("weights", "adapter"):
        assert parts.get(name, 0) == pytest.approx(reckoned.get(name, 0), abs=256), name
    learnt = parts["weights"] if method == "full" else parts["adapter"]
    assert parts["optimizer"] == pytest.approx(2 * learnt, rel=0.01)
    assert sum(parts.get(name, 0) for name in (*memory.BREAKDOWN, "temporaries")) >= 0
    lasting = ("weights", "adapter", "optimizer", "gradients", "activations", "temporaries")
    assert sum(parts.get(name, 0) for name in lasting) == parts["allocated"]
    assert parts["activations"] > 0
    assert set(result["phases"]) == {"forward", "backward", "optimizer", "evaluation", "save"}
    assert set(result["held_by_phase"]) == {*result["phases"], "load"}


def test_activations_that_are_recomputed_are_not_held(home: Home, tiny_model: Path) -> None:
    kept, again = (
        measured(home, recipe(tiny_model, gradient_checkpointing=asked))["parts"]["activations"]
        for asked in ("no", "yes")
    )
    assert again < kept


def test_the_ratio_is_kept_for_the_next_estimate(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model)
    result = measured(home, wanted)
    [one] = calibrations.kept(home)
    assert one.peak_bytes == result["peak_bytes"] > 0
    assert one.ratio == pytest.approx(result["ratio"])
    facts, machine = models.inspect(tiny_model), held.machine(home)
    again = calibration.calibrated(wanted, facts, machine, kept=[one])
    assert again != memory.estimate(wanted, facts, machine)


def test_without_held_out_rows_everything_else_is_measured(home: Home, tiny_model: Path) -> None:
    result = measured(home, recipe(tiny_model), evaluate=0)
    assert "evaluation" not in result["phases"]
    assert "save" in result["phases"]


def test_measuring_can_be_cancelled(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model))
    context = context_of(home, folder, Measure())
    jobs.tell(folder, Cancel())
    measure.run(context)
    assert isinstance(jobs.read_events(folder)[0][-1], ev.Cancelled)
    assert calibrations.kept(home) == ()


def test_what_has_no_room_ends_with_advice(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(load, "load_model", no_room)
    folder = run_folder(home, recipe(tiny_model))
    with pytest.raises(StudioError) as told:
        measure.run(context_of(home, folder, Measure()))
    assert told.value.title == "Out of memory"
    assert "By arithmetic it takes" in told.value.text
    assert "resume" not in told.value.fix
    assert calibrations.kept(home) == ()


def test_a_step_that_only_fits_in_pieces_says_so(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its peak is not that of the recipe, so no ratio is kept."""
    from studio.engine.tasks.causal_lm import CausalLM

    whole = CausalLM.loss_sum

    def short(self: CausalLM, batch: Any) -> torch.Tensor:
        if batch.input_ids.numel() > 150:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, batch)

    monkeypatch.setattr(CausalLM, "loss_sum", short)
    monkeypatch.setattr(CausalLM, "keeps_packed_rows_apart", lambda self: True)
    result = measured(home, recipe(tiny_model, batch_size=8))
    assert result["rescued"]
    assert not result["kept"]
    assert calibrations.kept(home) == ()


def test_the_timeline_counts_every_byte() -> None:
    model = nn.Sequential(nn.Linear(256, 256, bias=False), nn.Linear(256, 256, bias=False))
    rows = torch.randn(64, 256)
    found = tensors.Timeline(1000)

    def step(begin: Any) -> None:
        begin("forward")
        loss = model(rows).sum()
        begin("backward")
        loss.backward()
        begin("after")

    found.run(step)
    line = 64 * 256 * 4
    assert found.began["forward"] == 1000
    assert line <= found.began["backward"] - 1000 <= line + 1024  # what the second layer was given
    gradients = 2 * 256 * 256 * 4
    assert gradients <= found.began["after"] - 1000 <= gradients + 2 * line
    assert found.most["backward"] >= found.began["after"]


def test_shared_memory_counts_once() -> None:
    whole = torch.zeros(1000)
    assert tensors.held([whole, whole[:10], whole.view(10, 100)]) == 4000


def test_the_most_of_a_phase_is_its_own() -> None:
    watched = peaks.watch()
    try:
        watched.begin("large")
        # the system's own memory: a heap with so large a hole would keep it
        block = torch.frombuffer(mmap.mmap(-1, 64 << 20), dtype=torch.uint8).fill_(1)
        del block
        watched.begin("small")
        watched.begin("large")
    finally:
        watched.end()
    assert watched.held["large"] >= 60 << 20
    assert watched.held["small"] < watched.held["large"] - (30 << 20)


def test_where_the_kernel_keeps_no_mark_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "_forget", lambda: False)
    watched = peaks.watch()
    try:
        watched.begin("large")
        blocks = []
        for _ in range(40):
            blocks.append(torch.ones(4 << 20, dtype=torch.uint8))
        watched.begin("after")
    finally:
        watched.end()
    assert watched.held["large"] >= 120 << 20


def test_memory_is_told_in_bytes(home: Home) -> None:
    now = held.held()["memory_bytes"]
    assert now is not None
    assert 0 < now <= held.peak() * 1.05
    machine = held.machine(home)
    assert 0 < machine.ram_free_bytes < machine.ram_total_bytes


def test_a_finished_training_is_a_measurement_too(home: Home, tiny_model: Path) -> None:
    from studio.engine import calibrate

    wanted = recipe(tiny_model)
    folder = run_folder(home, wanted)
    context = context_of(home, folder)
    witness = calibrate.Witness()
    ready = setup.make(context, Control(context.channel))
    witness.began(ready, 0.5)
    witness.testify(context, ready, 1.0)  # half an epoch may not have seen the longest rows
    assert calibrations.kept(home) == ()
    smaller = msgspec.structs.replace(ready.decided, micro_batch_tokens=7)
    from dataclasses import replace

    witness.testify(context, replace(ready, decided=smaller), 2.0)
    assert calibrations.kept(home) == ()
