"""A run as a whole: commands, evaluation, early stopping, divergence, short memory."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from studio.core import commands
from studio.core import events as ev
from studio.core.commands import Train
from studio.core.errors import StudioError
from studio.engine import evaluate, train
from studio.engine.checkpoint import Checkpoints, Progress
from studio.engine.setup import Setup
from studio.library import jobs
from studio.library.folders import Home, JobFolder
from tests.engine.making import (
    changed,
    context_of,
    eval_losses,
    losses,
    recipe,
    run_folder,
    said,
    told,
)


def trained(home: Home, folder: Path) -> list[ev.AnyEvent]:
    train.run(context_of(home, folder))
    return jobs.read_events(folder)[0]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(JobFolder(folder).adapter / "adapter_model.safetensors")


def test_a_run_tells_all_of_itself_in_order(home: Home, tiny_model: Path) -> None:
    wanted = msgspec.structs.replace(
        recipe(tiny_model, max_steps=6, eval_every=3), sample_prompts=("note tea with bread at 3",)
    )
    folder = run_folder(home, wanted)
    log = trained(home, folder)
    kinds = [type(event).__name__ for event in log]
    assert kinds[:2] == ["Created", "Started"]
    assert kinds[-1] == "Finished"
    steps = said(folder, ev.Step)
    assert [step.step for step in steps] == list(range(1, 7))
    assert set(steps[0].metrics) == {
        "loss", "learning_rate", "grad_norm", "tokens_per_second", "memory_bytes"
    }  # fmt: skip
    assert steps[-1].tokens > steps[0].tokens > 0
    assert steps[-1].epoch == 6 / 5
    assert [event.step for event in said(folder, ev.Evaluated)] == [3, 6]
    assert [event.step for event in said(folder, ev.Sampled)] == [3, 6]
    started = said(folder, ev.Started)[-1]
    assert (started.total_steps, started.epochs) == (6, 1.2)
    assert set(started.decided) >= {
        "device", "dtype", "threads", "micro_batch_size", "gradient_accumulation", "packing",
        "gradient_checkpointing", "learning_rate",
    }  # fmt: skip
    result = said(folder, ev.Finished)[0].result
    assert set(result) == {
        "run", "state", "steps", "train_loss", "eval_loss", "adapter", "model",
        "tokens_per_second", "peak_bytes",
    }  # fmt: skip
    assert result["state"] == jobs.state(folder).state == "finished"
    assert result["train_loss"] == steps[-1].metrics["loss"]
    assert result["peak_bytes"] >= steps[-1].metrics["memory_bytes"]
    assert not JobFolder(folder).checkpoints.exists()


def test_evaluations_come_about_five_times_by_default(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=12))
    trained(home, folder)
    assert [event.step for event in said(folder, ev.Evaluated)] == [3, 6, 9, 12]


def test_the_cut_into_micro_batches_changes_no_loss(home: Home, tiny_model: Path) -> None:
    curves = []
    for micro in (0, 1, 3, 8):
        folder = run_folder(home, recipe(tiny_model, micro_batch_size=micro, max_steps=8))
        trained(home, folder)
        curves.append(losses(folder))
    assert len(said(folder, ev.Step)) == 8
    for curve in curves[1:]:
        assert curve == pytest.approx(curves[0], rel=1e-4)


def test_stop_finishes_the_step_and_keeps_what_was_learnt(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=50, keep_best=False))
    train.run(told(context_of(home, folder), 4, commands.Stop()))
    assert said(folder, ev.Step)[-1].step == 4
    finished = said(folder, ev.Finished)[0]
    assert finished.stopped
    assert finished.result["state"] == jobs.state(folder).state == "stopped"
    assert finished.result["eval_loss"] == eval_losses(folder)[-1]
    assert (Path(finished.result["adapter"]) / "adapter_model.safetensors").exists()
    assert said(folder, ev.Saved)[-1].step == 4


def test_a_stopped_run_can_be_resumed_to_its_end(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=9)
    whole = run_folder(home, wanted)
    trained(home, whole)
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 4, commands.Stop()))
    train.run(context_of(home, folder, Train(resume=True)))
    assert losses(folder) == losses(whole)
    assert jobs.state(folder).state == "finished"
    assert weights_of(folder).keys() == weights_of(whole).keys()
    for name, weight in weights_of(whole).items():
        assert torch.equal(weight, weights_of(folder)[name])


def test_stopped_before_its_first_step_a_run_has_nothing_to_publish(
    home: Home, tiny_model: Path
) -> None:
    wanted = recipe(tiny_model, max_steps=5)
    folder = run_folder(home, wanted)
    context = context_of(home, folder)
    jobs.tell(folder, commands.Stop())
    train.run(context)
    assert jobs.state(folder).state == "paused"
    assert not said(folder, ev.Step)
    assert not list(home.adapters.iterdir())
    train.run(context_of(home, folder, Train(resume=True)))
    whole = run_folder(home, wanted)
    trained(home, whole)
    assert losses(folder) == losses(whole)


def test_cancel_leaves_nothing_to_resume(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=50, save_every_minutes=1e-9))
    train.run(told(context_of(home, folder), 3, commands.Cancel()))
    assert isinstance(jobs.read_events(folder)[0][-1], ev.Cancelled)
    assert said(folder, ev.Saved)
    assert not JobFolder(folder).checkpoints.exists()
    assert not list(home.adapters.iterdir())


def test_save_and_sample_now_go_on_with_the_run(home: Home, tiny_model: Path) -> None:
    wanted = msgspec.structs.replace(
        recipe(tiny_model, max_steps=5, eval_every=100), sample_prompts=("note tea",)
    )
    folder = run_folder(home, wanted)
    context = told(context_of(home, folder), 2, commands.Save())
    jobs.tell(folder, commands.Sample())
    train.run(context)
    assert [event.step for event in said(folder, ev.Saved)] == [2, 5]
    assert [event.step for event in said(folder, ev.Sampled)] == [1, 5]


def test_checkpoints_are_written_in_time(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=3, save_every_minutes=1e-9)
    folder = run_folder(home, wanted, evaluate=0)
    trained(home, folder)
    assert [event.step for event in said(folder, ev.Saved)] == [1, 2, 3]


def test_the_best_weights_are_the_ones_kept(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_evaluation = []
    course = iter([3.0, 1.0, 2.0, 2.5])

    def scripted(ready: Setup, *_: object) -> float:
        at_evaluation.append(
            {n: w.detach().clone() for n, w in ready.model.named_parameters() if w.requires_grad}
        )
        return next(course)

    monkeypatch.setattr(evaluate, "loss_on", scripted)
    folder = run_folder(home, recipe(tiny_model, max_steps=4, eval_every=1))
    trained(home, folder)
    assert [event.best for event in said(folder, ev.Evaluated)] == [True, True, False, False]
    assert said(folder, ev.Finished)[0].result["eval_loss"] == 1.0
    name, weight = next(iter(weights_of(folder).items()))
    kept = {n.replace(".default", ""): w for n, w in at_evaluation[1].items()}
    last = {n.replace(".default", ""): w for n, w in at_evaluation[3].items()}
    assert torch.equal(weight, kept[name])
    assert not torch.equal(weight, last[name])


def test_stops_early_when_nothing_improves(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = iter([2.0, 1.0, 1.5, float("nan"), 0.5])
    monkeypatch.setattr(evaluate, "loss_on", lambda *_: next(course))
    wanted = recipe(tiny_model, max_steps=20, eval_every=2, early_stopping_patience=2)
    folder = run_folder(home, wanted)
    trained(home, folder)
    assert said(folder, ev.Step)[-1].step == 8
    assert said(folder, ev.Evaluated)[-1].metrics["loss"] is None
    assert any("stopped early at step 8" in note.text for note in said(folder, ev.Note))
    assert not said(folder, ev.Finished)[0].stopped


def test_a_run_without_held_out_rows_says_so_by_none(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=2), evaluate=0)
    trained(home, folder)
    assert said(folder, ev.Evaluated) == []
    assert said(folder, ev.Finished)[0].result["eval_loss"] is None


def test_evaluation_changes_nothing_of_training(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, "qlora", dtype="bfloat16", max_steps=6, eval_every=1)
    often = run_folder(home, wanted)
    trained(home, often)
    never = run_folder(home, changed(wanted, eval_every=100))
    trained(home, never)
    assert losses(often) == losses(never)


def test_divergence_is_a_sentence_and_spares_the_weights(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, learning_rate=1e30, max_steps=20, warmup_share=0))
    with pytest.raises(StudioError, match="no longer a number at step"):
        trained(home, folder)
    assert losses(folder)[-1] is None or said(folder, ev.Step)[-1].metrics["grad_norm"] is None


def test_a_finished_run_is_published_though_its_last_checkpoint_finds_no_room(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoints.save

    def full(store: Checkpoints, model: nn.Module, parts: Any, progress: Progress) -> Path:
        if progress.step:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(store, model, parts, progress)

    monkeypatch.setattr(Checkpoints, "save", full)
    folder = run_folder(home, recipe(tiny_model, max_steps=2))
    trained(home, folder)
    assert Path(said(folder, ev.Finished)[0].result["adapter"]).is_dir()
    other = run_folder(home, recipe(tiny_model, max_steps=20))
    with pytest.raises(StudioError, match="step 0 stands, and resuming repeats 1 step"):
        train.run(told(context_of(home, other), 1, commands.Pause()))
