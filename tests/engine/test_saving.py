"""What is saved when: bounded loss, a disk that fills up, evaluations that are owed."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
from studio.core.disk import SPARE_BYTES
from studio.core.errors import StudioError
from studio.core.recipe import LoraPart, to_yaml
from studio.engine import evaluate, train
from studio.engine.checkpoint import Checkpoints, Progress
from studio.engine.learner import Learner
from studio.engine.saving import Saving
from studio.library import disk, jobs
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


def trained(home: Home, folder: Path) -> None:
    train.run(context_of(home, folder))


def free_bytes(monkeypatch: pytest.MonkeyPatch, folder: Path, free: Callable[[int], int]) -> None:
    """A disk that has `free(steps)` bytes left after so many steps of the run."""
    monkeypatch.setattr(disk, "free_bytes", lambda _: free(len(said(folder, ev.Step))))


def test_a_disk_that_fills_up_pauses_the_run_with_everything_saved(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tiny_model, max_steps=6)
    whole = run_folder(home, wanted)
    trained(home, whole)
    folder = run_folder(home, wanted)
    free_bytes(monkeypatch, folder, lambda steps: 10**9 if steps < 3 else SPARE_BYTES + 1000)
    trained(home, folder)
    paused = said(folder, ev.Paused)[0]
    assert (paused.step, paused.reason) == (3, "disk")
    assert jobs.state(folder).pause_reason == "disk"
    assert Path(paused.checkpoint).is_dir()
    warning = said(folder, ev.Note)[-1]
    assert warning.severity == "warning"
    assert "67 MB left, and the next checkpoint takes" in warning.text
    train.run(context_of(home, folder, Train(resume=True)))  # still as full
    assert said(folder, ev.Step)[-1].step == 3
    assert said(folder, ev.Paused)[1].reason == "disk"
    monkeypatch.undo()
    train.run(context_of(home, folder, Train(resume=True)))
    assert losses(folder) == losses(whole)


def test_room_is_watched_for_the_checkpoint_as_large_as_it_will_be(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimizer's states are made in the first step, and the best weights lie beside it."""
    folder = run_folder(home, recipe(tiny_model, max_steps=4))
    free_bytes(monkeypatch, folder, lambda steps: 10**9)
    train.run(told(context_of(home, folder), 2, commands.Pause()))
    size = sum(
        file.stat().st_size for file in Path(said(folder, ev.Paused)[0].checkpoint).iterdir()
    )
    weights = 4 * sum(weight.numel() for weight in weights_at(folder).values())
    assert 2.9 * weights < size < 4 * weights
    for spare, step in ((size + weights, 4), (size - weights, 1)):
        other = run_folder(home, recipe(tiny_model, max_steps=4))
        free_bytes(monkeypatch, other, partial(fixed, SPARE_BYTES + spare))
        trained(home, other)
        assert said(other, ev.Step)[-1].step == step


def fixed(free: int, _steps: int) -> int:
    return free


def weights_at(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(Path(said(folder, ev.Paused)[0].checkpoint) / "weights.safetensors")


def test_where_even_the_last_save_finds_no_room_the_one_before_stands(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tiny_model, max_steps=6)
    whole = run_folder(home, wanted)
    trained(home, whole)
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 2, commands.Pause()))
    with full_disk(monkeypatch) as tried, pytest.raises(StudioError) as caught:
        train.run(told(context_of(home, folder, Train(resume=True)), 4, commands.Pause()))
    assert tried == [4, 4]  # once more, after all but the newest made room
    assert caught.value.title == "Disk is full"
    assert "step 2 stands, and resuming repeats 2 steps" in caught.value.text
    assert "Free at least" in caught.value.fix
    kept = [path.name for path in JobFolder(folder).checkpoints.glob("step-*")]
    assert kept == ["step-00000002"]
    train.run(context_of(home, folder, Train(resume=True)))
    assert said(folder, ev.Started)[-1].resumed_from == 2
    assert by_step(folder) == by_step(whole)


def by_step(folder: Path) -> dict[int, float | None]:
    return {event.step: event.metrics["loss"] for event in said(folder, ev.Step)}


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A disk that takes no checkpoint; the steps of those that were tried."""
    tried: list[int] = []

    def full(_: Checkpoints, _model: nn.Module, _parts: Any, progress: Progress) -> Path:
        tried.append(progress.step)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", full)
        yield tried


def test_a_long_evaluation_is_saved_from_and_a_pause_leaves_it_for_later(
    home: Home, tiny_model: Path
) -> None:
    wanted = recipe(tiny_model, max_steps=4, eval_every=2, micro_batch_size=2)
    whole = run_folder(home, wanted)
    trained(home, whole)
    folder = run_folder(home, changed(wanted, save_every_minutes=1e-9))
    train.run(told(context_of(home, folder), 2, commands.Pause(reason="game")))
    paused = said(folder, ev.Paused)[0]
    assert (paused.step, paused.reason) == (2, "game")
    assert said(folder, ev.Evaluated) == []
    context = context_of(home, folder, Train(resume=True))
    train.run(context)
    assert [event.step for event in said(folder, ev.Evaluated)] == [2, 4]
    assert eval_losses(folder) == eval_losses(whole)
    log = jobs.read_events(folder)[0]
    names = [type(event).__name__ for event in log]
    last = len(names) - names[::-1].index("Evaluated") - 1
    # step 4 was saved in its evaluation, and again with what that found
    assert [event.step for event in log[last - 1 :] if isinstance(event, ev.Saved)] == [4, 4]


def test_early_stopping_is_remembered_over_a_kill(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = {2: 2.0, 4: 1.0, 6: 1.5, 8: 1.6, 10: 0.1}
    looked: list[int] = []

    def scripted(self: Learner, *arguments: Any) -> float:
        looked.append(arguments[-1])
        return course[arguments[-1]]

    monkeypatch.setattr(Learner, "held_out_loss", scripted)
    wanted = recipe(tiny_model, max_steps=20, eval_every=2, early_stopping_patience=2)
    folder = run_folder(home, changed(wanted, save_every_minutes=1e-9))
    for step in (6, 8):  # dies right after the checkpoint that holds the evaluation
        dies_saving(monkeypatch, home, folder, step)
    train.run(context_of(home, folder, Train(resume=True)))
    assert looked == [2, 4, 6, 8]
    assert said(folder, ev.Step)[-1].step == 8
    assert said(folder, ev.Finished)[0].result["eval_loss"] == 1.0
    assert any("stopped early at step 8" in note.text for note in said(folder, ev.Note))


def dies_saving(monkeypatch: pytest.MonkeyPatch, home: Home, folder: Path, step: int) -> None:
    """Train until the checkpoint of this step is whole, and vanish."""
    save = Saving.save

    def dying(self: Saving, progress: Progress) -> Path:
        path = save(self, progress)
        if progress.step == step:
            raise KeyboardInterrupt
        return path

    with monkeypatch.context() as patch:
        patch.setattr(Saving, "save", dying)
        with pytest.raises(KeyboardInterrupt):
            train.run(context_of(home, folder, Train(resume=True)))


def test_evaluating_and_answering_draw_no_random_numbers(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawing(*_: object) -> float:
        return float(torch.rand(()))

    wanted = msgspec.structs.replace(
        recipe(tiny_model, max_steps=6, eval_every=100, keep_best=False),
        lora=LoraPart(rank=8, alpha=16.0, dropout=0.2),
        sample_prompts=("note tea",),
    )
    curves = []
    for every in (100, 1):
        folder = run_folder(home, changed(wanted, eval_every=every))
        with monkeypatch.context() as patch:
            patch.setattr(evaluate, "loss_on", drawing)
            patch.setattr(evaluate, "answers", lambda _: [("a", str(torch.rand(())))])
            trained(home, folder)
        curves.append(losses(folder))
    assert curves[0] == curves[1]


def test_the_best_weights_are_said_to_be_damaged(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=4, eval_every=2)
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 3, commands.Pause()))
    [best] = JobFolder(folder).checkpoints.glob("best-*")
    (best / "weights.safetensors").write_bytes(b"")
    store, progress = Checkpoints(JobFolder(folder).checkpoints), Progress(best_step=2)
    assert not store.restore_best(nn.Linear(1, 1), progress)


def test_another_recipes_checkpoint_is_a_sentence(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=4)
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 1, commands.Pause()))
    other = msgspec.structs.replace(wanted, lora=LoraPart(rank=2))
    JobFolder(folder).recipe.write_text(to_yaml(other), "utf-8")
    with pytest.raises(StudioError, match="not those that this recipe trains"):
        train.run(context_of(home, folder, Train(resume=True)))


def test_a_run_is_never_begun_anew_beside_a_checkpoint(home: Home, tiny_model: Path) -> None:
    """Whoever starts it may not have heard that it was begun: the log's end can be lost."""
    folder = run_folder(home, recipe(tiny_model, max_steps=4))
    train.run(told(context_of(home, folder), 2, commands.Pause()))
    train.run(context_of(home, folder, Train(resume=False)))
    assert said(folder, ev.Started)[-1].resumed_from == 2
