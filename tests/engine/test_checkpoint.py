"""Pause, crash and resume: a run goes on where it was and ends where it would have ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from accelerate.state import AcceleratorState

from studio.core import commands
from studio.core import events as ev
from studio.core.commands import Train
from studio.core.recipe import LoraPart
from studio.engine import train
from studio.engine.checkpoint import Checkpoints
from studio.engine.conditions import here as conditions_here
from studio.library import files, jobs
from studio.library.folders import Home, JobFolder
from tests.engine.making import changed, context_of, losses, recipe, run_folder, said, told

RESUMED: dict[str, dict[str, Any]] = {
    "lora": {},
    "8-bit optimizer": {"optimizer": "adamw_8bit"},
    "qlora": {"method": "qlora", "dtype": "bfloat16"},
    "full": {"method": "full", "learning_rate": 1e-3},
}


class KilledError(BaseException):
    """What no engine catches."""


def killed_after(home: Home, folder: Path, step: int) -> None:
    """Train and vanish right after a step, as by kill -9: nothing is said or saved after it."""

    class Channel(type(context_of(home, folder).channel)):  # type: ignore[misc]
        def emit(self, event: ev.AnyEvent) -> None:
            super().emit(event)
            if isinstance(event, ev.Step) and event.step == step:
                raise KilledError

    context = context_of(home, folder)
    with pytest.raises(KilledError):
        train.run(
            type(context)(
                home=home, folder=context.folder, job=context.job, channel=Channel(folder)
            )
        )


def curve(folder: Path) -> dict[int, tuple[object, ...]]:
    """Loss, gradient norm and learning rate as they stand in the log, the last word of each."""
    return {
        step.step: tuple(
            repr(step.metrics[name]) for name in ("loss", "grad_norm", "learning_rate")
        )
        for step in said(folder, ev.Step)
    }


@pytest.mark.parametrize("name", RESUMED)
def test_killed_and_resumed_equals_uninterrupted(home: Home, tiny_model: Path, name: str) -> None:
    wanted = recipe(tiny_model, max_steps=9, eval_every=3, **RESUMED[name])
    wanted = msgspec.structs.replace(wanted, lora=LoraPart(rank=4, alpha=8.0, dropout=0.1))
    whole = run_folder(home, wanted)
    train.run(context_of(home, whole))
    folder = run_folder(home, wanted)
    jobs.tell(folder, commands.Stop())  # an old command is not heard
    save_at(home, folder, wanted, step=4)
    killed_after(home, folder, step=6)
    train.run(context_of(home, folder, Train(resume=True)))
    started = said(folder, ev.Started)[-1]
    assert started.resumed_from == 4
    assert curve(folder) == curve(whole)
    results = [said(run, ev.Finished)[0].result for run in (folder, whole)]
    for field in ("steps", "train_loss", "eval_loss"):
        assert results[0][field] == results[1][field]


def save_at(home: Home, folder: Path, wanted: object, step: int) -> None:
    """Leave exactly one checkpoint, of this step, by a pause."""
    train.run(told(context_of(home, folder), step, commands.Pause()))
    paused = said(folder, ev.Paused)[0]
    assert paused.step == step
    assert jobs.state(folder).state == "paused"
    assert Path(paused.checkpoint).is_dir()
    jobs.set_job(folder, Train(resume=True))


def test_pause_saves_and_leaves(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=30))
    train.run(told(context_of(home, folder), 2, commands.Pause()))
    assert isinstance(jobs.read_events(folder)[0][-1], ev.Paused)
    assert said(folder, ev.Step)[-1].step == 2
    assert not list(home.adapters.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "lost", "no manifest"])
def test_a_damaged_checkpoint_is_passed_over_and_said(
    home: Home, tiny_model: Path, damage: str
) -> None:
    wanted = recipe(tiny_model, max_steps=30, save_every_minutes=1e-9)
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 4, commands.Pause()))
    kept = sorted(path.name for path in JobFolder(folder).checkpoints.glob("step-*"))
    assert kept == ["step-00000003", "step-00000004"]
    spoil(JobFolder(folder).checkpoints / kept[1], damage)
    train.run(told(context_of(home, folder, Train(resume=True)), 5, commands.Cancel()))
    assert said(folder, ev.Started)[-1].resumed_from == 3
    assert any("step-00000004 is damaged" in note.text for note in said(folder, ev.Note))


def spoil(path: Path, damage: str) -> None:
    weights = path / "weights.safetensors"
    content = weights.read_bytes()
    match damage:
        case "cut":
            weights.write_bytes(content[:-10])
        case "flipped":
            weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "lost":
            weights.unlink()
        case "no manifest":
            (path / "manifest.json").unlink()


def test_the_log_is_on_the_disk_before_a_checkpoint_that_goes_on_from_it(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=3, save_every_minutes=1e-9))
    log = JobFolder(folder).events
    flushed = [0]
    save, fsync = Checkpoints.save, os.fsync

    def flush(descriptor: int) -> None:
        fsync(descriptor)
        if os.path.sameopenfile(descriptor, opened.fileno()):
            flushed.append(log.stat().st_size)

    def checked(store: Checkpoints, *rest: Any) -> Path:
        assert flushed[-1] == log.stat().st_size
        return save(store, *rest)

    with log.open("rb") as opened:
        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(Checkpoints, "save", checked)
        train.run(context_of(home, folder))
    assert len(flushed) > 3


def test_only_two_checkpoints_and_the_best_are_kept(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=30, save_every_minutes=1e-9, eval_every=2)
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 7, commands.Pause()))
    kept = sorted(path.name for path in JobFolder(folder).checkpoints.iterdir())
    assert kept == ["best-00000006", "step-00000006", "step-00000007"]


def test_a_resume_without_a_checkpoint_begins_anew_and_says_so(
    home: Home, tiny_model: Path
) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=2))
    train.run(context_of(home, folder, Train(resume=True)))
    assert any("begins anew" in note.text for note in said(folder, ev.Note))
    assert len(losses(folder)) == 2


def test_decisions_are_kept_for_the_resumed_run(home: Home, tiny_model: Path) -> None:
    wanted = changed(recipe(tiny_model, max_steps=30), dtype="auto")
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 1, commands.Pause()))
    decided = msgspec.json.decode(JobFolder(folder).decided.read_bytes())
    assert decided["dtype"] in ("bfloat16", "float32")
    assert "measured on this processor" in decided["dtype_reason"]
    other = {"float32": "bfloat16", "bfloat16": "float32"}[decided["dtype"]]
    files.write_whole(JobFolder(folder).decided, msgspec.json.encode(decided | {"dtype": other}))
    AcceleratorState._reset_state(reset_partial_state=True)
    train.run(told(context_of(home, folder, Train(resume=True)), 2, commands.Pause()))
    assert said(folder, ev.Started)[-1].decided["dtype"] == other


def decided_otherwise(home: Home, tiny_model: Path, **changes: object) -> Path:
    """A run that was paused after a step, with another decided.json."""
    folder = run_folder(home, recipe(tiny_model, max_steps=2))
    train.run(told(context_of(home, folder), 1, commands.Pause()))
    decided = msgspec.json.decode(JobFolder(folder).decided.read_bytes())
    files.write_whole(JobFolder(folder).decided, msgspec.json.encode(decided | changes))
    AcceleratorState._reset_state(reset_partial_state=True)
    return folder


def differences(folder: Path) -> list[str]:
    return [n.text for n in said(folder, ev.Note) if "may differ in the last digits" in n.text]


def test_what_breaks_exactness_is_said_in_one_sentence(home: Home, tiny_model: Path) -> None:
    conditions = conditions_here(torch.device("cpu")) | {"torch": "1.0", "device": "Abacus 3"}
    folder = decided_otherwise(
        home, tiny_model, threads=999, micro_batch_size=2, conditions=conditions
    )
    train.run(context_of(home, folder, Train(resume=True)))
    [text] = differences(folder)
    assert "processor threads, not 999" in text
    assert f"torch is {torch.__version__}, not 1.0" in text
    assert ", not Abacus 3" in text
    decided = said(folder, ev.Started)[-1].decided
    assert decided["micro_batch_size"] == 2  # what the machine still can is taken over
    assert decided["threads"] < 999
    assert decided["conditions"] == conditions_here(torch.device("cpu"))


def test_nothing_is_said_where_nothing_differs(home: Home, tiny_model: Path) -> None:
    folder = decided_otherwise(home, tiny_model)
    train.run(context_of(home, folder, Train(resume=True)))
    assert differences(folder) == []


def test_another_device_decides_anew_and_says_so(home: Home, tiny_model: Path) -> None:
    folder = decided_otherwise(
        home, tiny_model, device="cuda", dtype="bfloat16", learning_rate=1e-3, conditions={}
    )
    train.run(context_of(home, folder, Train(resume=True)))
    assert "a graphics card" in differences(folder)[0]
    decided = said(folder, ev.Started)[-1].decided
    assert (decided["device"], decided["dtype"]) == ("cpu", "float32")
    assert decided["learning_rate"] == 1e-3


def test_decisions_that_cannot_be_read_are_made_anew_and_said(home: Home, tiny_model: Path) -> None:
    folder = decided_otherwise(home, tiny_model)
    JobFolder(folder).decided.write_bytes(b"{")
    train.run(context_of(home, folder, Train(resume=True)))
    assert "can't be read" in differences(folder)[0]


def test_leftovers_of_an_interrupted_write_are_swept(tmp_path: Path) -> None:
    (tmp_path / f"{files.PARTIAL}0123abcd4567-step-00000001").mkdir()
    store = Checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert store.newest() == (None, [])
