"""Training that goes wrong: stopped or rolled back, and nothing broken is kept or published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from studio.core import commands
from studio.core import events as ev
from studio.core.commands import Train
from studio.core.errors import StudioError
from studio.core.recipe import LoraPart, Recipe
from studio.engine import train
from studio.engine.checkpoint import Checkpoints
from studio.engine.learner import Learner
from studio.engine.setup import Decided, remember
from studio.engine.trouble import MOST_ROLL_BACKS
from studio.library import jobs
from studio.library.folders import Home, JobFolder
from tests.engine.making import (
    context_of,
    losses,
    recipe,
    run_folder,
    said,
    token_rows,
    told,
    write_rows,
)


def rolling_back(tiny_model: Path, **training: Any) -> Recipe:
    """A run with dropout, so that the random numbers count, that rolls back."""
    wanted = recipe(tiny_model, on_trouble="roll-back", **{"max_steps": 9} | training)
    return msgspec.structs.replace(wanted, lora=LoraPart(rank=8, alpha=16.0, dropout=0.1))


def no_number_at(monkeypatch: pytest.MonkeyPatch, wrong: Callable[[int], bool]) -> None:
    """The loss is no number in the steps named, which are counted as they are taken."""
    plain, taken = Learner._accumulate, 0

    def accumulate(learner: Learner, *asked: Any) -> float:
        nonlocal taken
        taken += 1
        loss: float = plain(learner, *asked)
        return float("nan") if wrong(taken) else loss

    monkeypatch.setattr(Learner, "_accumulate", accumulate)


def steps_of(folder: Path) -> list[int]:
    return [event.step for event in said(folder, ev.Step)]


def decided(folder: Path) -> Decided:
    return msgspec.json.decode(JobFolder(folder).decided.read_bytes(), type=Decided)


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in JobFolder(folder).checkpoints.glob("step-*"))


def test_a_run_that_should_stop_stops_and_can_be_resumed(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tiny_model, max_steps=8)
    whole = run_folder(home, wanted)
    train.run(context_of(home, whole))
    folder = run_folder(home, wanted)
    with monkeypatch.context() as patch:
        no_number_at(patch, lambda taken: taken == 6)
        with pytest.raises(StudioError, match="no longer a number at step 6"):
            train.run(told(context_of(home, folder), 3, commands.Save()))
    assert not list(home.adapters.glob("*-2*"))
    assert checkpoints(folder)[-1] == "step-00000003"
    train.run(context_of(home, folder, Train(resume=True)))
    assert steps_of(folder) == [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8]
    assert losses(folder)[-5:] == losses(whole)[-5:]


def test_rolled_back_a_run_goes_on_with_half_the_learning_rate(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly as a run would that was paused there and given half the rate."""
    wanted = rolling_back(tiny_model)
    slower = run_folder(home, wanted)
    train.run(told(context_of(home, slower), 3, commands.Pause()))
    before = decided(slower)
    remember(
        JobFolder(slower),
        msgspec.structs.replace(before, learning_rate=before.learning_rate / 2, roll_backs=1),
    )
    train.run(context_of(home, slower, Train(resume=True)))

    no_number_at(monkeypatch, lambda taken: taken == 6)
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 3, commands.Save()))
    back = said(folder, ev.RolledBack)
    assert [(event.step, event.to_step) for event in back] == [(6, 3)]
    assert "no longer a number" in back[0].text
    assert "halved" in back[0].text
    assert steps_of(folder) == [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9]
    assert losses(folder)[6:] == losses(slower)[3:]
    rates = [event.metrics["learning_rate"] for event in said(folder, ev.Step)]
    assert rates[6] == rates[3] / 2
    assert jobs.state(folder).state == "finished"


def test_resumed_after_a_roll_back_a_run_learns_the_same(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = rolling_back(tiny_model)
    whole = run_folder(home, wanted)
    with monkeypatch.context() as patch:
        no_number_at(patch, lambda taken: taken == 6)
        train.run(told(context_of(home, whole), 3, commands.Save()))
    folder = run_folder(home, wanted)
    with monkeypatch.context() as patch:
        no_number_at(patch, lambda taken: taken == 6)
        context = told(context_of(home, folder), 3, commands.Save())
        train.run(told_again(context, 5, commands.Pause()))
    assert jobs.state(folder).state == "paused"
    train.run(context_of(home, folder, Train(resume=True)))
    assert steps_of(folder) == steps_of(whole)
    assert losses(folder) == losses(whole)
    assert decided(folder).roll_backs == 1


def told_again(context: Any, step: int, command: commands.AnyCommand) -> Any:
    """A second command, the second time that a step is done."""
    emit, seen = context.channel.emit, 0

    def emitting(event: Any) -> None:
        nonlocal seen
        emit(event)
        if isinstance(event, ev.Step) and event.step == step:
            seen += 1
            if seen == 2:
                jobs.tell(context.folder.path, command)

    context.channel.emit = emitting
    return context


def test_a_run_that_goes_wrong_again_and_again_stops(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_number_at(monkeypatch, lambda taken: taken % 3 == 0)
    folder = run_folder(home, rolling_back(tiny_model))
    rate = 5e-3
    with pytest.raises(StudioError, match="no longer a number"):
        train.run(context_of(home, folder))
    assert [event.to_step for event in said(folder, ev.RolledBack)] == [0] * MOST_ROLL_BACKS
    assert decided(folder).learning_rate == rate / 2**MOST_ROLL_BACKS
    assert not list(home.adapters.iterdir())


def test_a_learning_rate_that_is_really_too_high_is_noticed(home: Home, tiny_model: Path) -> None:
    """Nothing injected: the weights explode by themselves."""
    wild = {"learning_rate": 10.0, "max_grad_norm": 0.0, "scheduler": "constant"}
    folder = run_folder(home, recipe(tiny_model, "full", max_steps=60, warmup_share=0.3, **wild))
    with pytest.raises(StudioError) as caught:
        train.run(context_of(home, folder))
    assert caught.value.title in ("Training diverged", "Gradients explode")
    assert said(folder, ev.Step)[-1].step < 20
    assert not list(home.models.iterdir())


def breaking_update(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """One update leaves a weight that is no number."""
    plain, calls = torch.optim.AdamW.step, 0

    def step(optimizer: torch.optim.AdamW, closure: Any = None) -> Any:
        nonlocal calls
        calls += 1
        done = plain(optimizer, closure)
        if calls == at:
            optimizer.param_groups[0]["params"][-1].data.view(-1)[0] = float("inf")
        return done

    monkeypatch.setattr(torch.optim.AdamW, "step", step)


@pytest.mark.parametrize("command", [None, commands.Pause(), commands.Save(), commands.Stop()])
def test_broken_weights_are_neither_saved_nor_published(
    home: Home,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: commands.AnyCommand | None,
) -> None:
    breaking_update(monkeypatch, 5)
    folder = run_folder(home, recipe(tiny_model, max_steps=5 if command is None else 9))
    context = context_of(home, folder)
    with pytest.raises(StudioError, match="Training diverged"):
        train.run(told(context, 5, command) if command else context)
    assert not list(home.adapters.iterdir())
    assert checkpoints(folder) == ["step-00000000"]
    newest, damaged = Checkpoints(JobFolder(folder).checkpoints).newest()
    assert newest is not None
    assert not damaged
    weights = load_file(newest / "weights.safetensors")
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_broken_weights_at_the_end_are_rolled_back(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking_update(monkeypatch, 5)
    folder = run_folder(home, rolling_back(tiny_model, max_steps=5))
    train.run(context_of(home, folder))
    assert steps_of(folder) == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert jobs.state(folder).state == "finished"


@pytest.mark.parametrize("steps", [1, 9])
def test_rows_without_a_trained_token_are_not_learnt_from(
    home: Home, tiny_model: Path, steps: int
) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=steps), evaluate=0)
    rows = token_rows(tiny_model, 40)
    unlearnt = [row | {"labels": [-100] * len(row["input_ids"])} for row in rows]
    write_rows(folder / "data" / "train.arrow", unlearnt)
    with pytest.raises(StudioError, match="no token that is trained"):
        train.run(context_of(home, folder))
    assert len(said(folder, ev.Step)) == min(steps, 3)
    assert not list(home.adapters.iterdir())
