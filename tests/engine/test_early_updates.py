"""Weights updated in the backward pass: the same run to the bit, with one gradient at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from studio.core import commands
from studio.core import events as ev
from studio.core.commands import Train
from studio.core.recipe import Recipe
from studio.engine import setup, train
from studio.engine.control import Control
from studio.engine.learner import Learner, StepResult
from studio.engine.tasks.causal_lm import Batch, CausalLM
from studio.library.folders import Home
from tests.engine.making import changed, context_of, losses, recipe, run_folder, said, told

NORM = "grad_norm"


def wanted(model: Path, **training: Any) -> Recipe:
    """Full fine-tuning in which nothing is clipped, eight rows a step in one go."""
    plain = {"method": "full", "max_grad_norm": 0.0, "max_steps": 5, "learning_rate": 2e-3}
    return recipe(model, **plain | training)


def trained(home: Home, asked: Recipe) -> Path:
    folder = run_folder(home, asked)
    train.run(context_of(home, folder))
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(Path(said(folder, ev.Finished)[-1].result["model"]) / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(weight, second[name]) for name, weight in first.items())


def steps(home: Home, asked: Recipe) -> tuple[list[StepResult], list[torch.Tensor]]:
    """Three steps by a learner alone, and the weights after them."""
    context = context_of(home, run_folder(home, asked))
    ready = setup.make(context, Control(context.channel))
    learner = Learner(context, ready, 4, Control(context.channel))
    rows = [ready.train_rows[place] for place in range(24)]
    told = [learner.step(rows[8 * step :][:8]) for step in range(3)]
    return told, [weight.detach().clone() for weight in ready.model.parameters()]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gradient_checkpointing": "yes", "weight_decay": 0.1},
        {"dtype": "bfloat16"},
        {"dtype": "bfloat16", "base_precision": "16", "optimizer": "adamw_8bit"},
        {"optimizer": "adafactor"},
    ],
    ids=["plain", "checkpointed", "autocast", "pure-8bit", "adafactor"],
)
def test_the_same_is_learnt(home: Home, tiny_model: Path, settings: dict[str, Any]) -> None:
    plain = wanted(tiny_model, **settings)
    usual, there = steps(home, plain)
    early, here = steps(home, changed(plain, optimizer_in_backward=True))
    assert [one.loss for one in early] == [one.loss for one in usual]
    assert len({one.loss for one in usual}) == 3
    norms = [one.grad_norm for one in usual]
    exact = 1e-2 if "base_precision" in settings else 1e-5  # torch rounds it to the weights' type
    assert [one.grad_norm for one in early] == pytest.approx(norms, rel=exact)
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))


def test_a_resumed_run_ends_as_one_undisturbed(home: Home, tiny_model: Path) -> None:
    asked = wanted(tiny_model, optimizer_in_backward=True)
    whole = trained(home, asked)
    folder = run_folder(home, asked)
    train.run(told(context_of(home, folder), 3, commands.Pause()))
    train.run(context_of(home, folder, Train(resume=True)))
    assert losses(folder) == losses(whole)
    assert same(folder, whole)


def test_there_is_one_gradient_at_a_time(home: Home, tiny_model: Path) -> None:
    context = context_of(home, run_folder(home, wanted(tiny_model, optimizer_in_backward=True)))
    ready = setup.make(context, Control(context.channel))
    learner = Learner(context, ready, 4, Control(context.channel))
    there: list[int] = []
    learner.optimizer.optimizer.register_step_pre_hook(
        lambda optimizer, args, kwargs: there.append(
            sum(weight.grad is not None for weight in ready.model.parameters())
        )
    )
    learner.step([ready.train_rows[place] for place in range(8)])
    assert there == [1] * len(list(ready.model.parameters()))
    assert all(weight.grad is None for weight in ready.model.parameters())


def spoil(patch: pytest.MonkeyPatch, at: int, loss: bool) -> None:
    """In the step `at` the loss, or the gradient of the first layers alone, is no number."""
    plain, calls = CausalLM.loss_sum, [0]

    def loss_sum(task: CausalLM, batch: Batch) -> torch.Tensor:
        if task.model.training:
            calls[0] += 1
        if calls[0] != at or not task.model.training:
            return plain(task, batch)
        if loss:
            return plain(task, batch) * float("nan")
        layer = task.model.model.layers[0]

        def spoilt(module: Any, into: Any, out: Any) -> tuple[torch.Tensor]:
            hook.remove()
            return (into[0] * float("inf"),)

        hook = layer.register_full_backward_hook(spoilt)
        return plain(task, batch)

    patch.setattr(CausalLM, "loss_sum", loss_sum)


@pytest.mark.parametrize("loss", [True, False], ids=["loss", "gradient"])
def test_no_number_goes_back_to_whole_weights(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, loss: bool
) -> None:
    asked = wanted(tiny_model, optimizer_in_backward=True, on_trouble="roll-back")
    folder = run_folder(home, asked)
    with monkeypatch.context() as patch:
        spoil(patch, 4, loss)
        context = told(context_of(home, folder), 2, commands.Save())
        train.run(context)
    [back] = said(folder, ev.RolledBack)
    assert (back.step, back.to_step) == (4, 2)
    assert all(bool(weight.isfinite().all()) for weight in weights(folder).values())
    assert losses(folder)[2] == losses(folder)[4], "step 3 again, from the weights of step 2"


def test_smaller_micro_batches_put_a_half_done_update_back(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = wanted(tiny_model, optimizer_in_backward=True)
    folder = run_folder(home, asked)
    plain, updates = torch.optim.AdamW.step, [0]

    def step(optimizer: torch.optim.AdamW, *about: Any) -> Any:
        updates[0] += 1
        if updates[0] == 90:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return plain(optimizer, *about)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        train.run(context_of(home, folder))
    [rescued] = said(folder, ev.Rescued)
    assert rescued.gradient_accumulation == 2
    assert losses(folder)[-5:] == pytest.approx(losses(trained(home, asked)), rel=1e-3)
