"""Killed at every point that matters, by a real kill -9, a run ends as if it never had been."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from studio.core import events as ev
from studio.core.recipe import LoraPart, Recipe
from studio.library.files import PARTIAL
from studio.library.folders import Home, JobFolder
from tests.engine.making import recipe, run_folder, said
from tests.support.deaths import POINTS

ROOT = Path(__file__).resolve().parents[2]
COMMON = {"max_steps": 9, "eval_every": 4, "micro_batch_size": 4, "keep_checkpoints": 1}
RUNS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "lora": ({}, tuple(POINTS)),
    "qlora": (
        {"method": "qlora", "optimizer": "paged_adamw_8bit", "dtype": "bfloat16"},
        ("in a backward pass", "before a checkpoint has its name", "after an evaluation"),
    ),
    "full": (
        {"method": "full", "optimizer": "adamw_8bit", "learning_rate": 1e-3},
        (
            "between update and schedule", "writing a checkpoint", "in an evaluation",
            "before it has its name", "published", "before its last word",
        ),
    ),
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't fork")
@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_ends_as_if_it_never_had_been(home: Home, tiny_model: Path, name: str) -> None:
    settings, points = RUNS[name]
    wanted = with_all(recipe(tiny_model, **COMMON | settings))
    whole = run_folder(home, wanted)
    killed = {point: run_folder(home, wanted) for point in points}
    asked: list[tuple[str, str | None]] = [(str(whole), None)]
    for point, folder in killed.items():
        asked += [(str(folder), point), (str(folder), None)]
    assert trained(home, asked) == [0, *[-9, 0] * len(points)]
    for point, folder in killed.items():
        assert story(folder) == story(whole), point
        assert same_weights(folder, whole), point
    places = [place_of(folder) for folder in (whole, *killed.values())]
    published = [*home.adapters.iterdir(), *home.models.iterdir()]
    assert sorted(published) == sorted(places)  # each once, and nothing half
    assert list(home.root.rglob(f"{PARTIAL}*")) == []
    assert not any(JobFolder(folder).checkpoints.exists() for folder in killed.values())


def with_all(wanted: Recipe) -> Recipe:
    """With dropout, with answers on the way, and with tensors large enough for 8-bit states."""
    return msgspec.structs.replace(
        wanted,
        lora=LoraPart(rank=64, alpha=64.0, dropout=0.1),
        sample_prompts=("note tea with bread at 3",),
    )


def trained(home: Home, asked: list[tuple[str, str | None]]) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.support.deaths", str(home.root)],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    ends: list[int] = json.loads(done.stdout.splitlines()[-1])
    assert set(ends) <= {0, -9}, done.stderr
    return ends


def story(folder: Path) -> dict[str, Any]:
    """All of a run's log that a kill may not change: the last word on each step."""
    [finished] = said(folder, ev.Finished)
    figures = ("loss", "grad_norm", "learning_rate")
    return {
        "steps": {
            event.step: [event.tokens, *(event.metrics[name] for name in figures)]
            for event in said(folder, ev.Step)
        },
        "evaluations": {
            event.step: [event.metrics, event.best] for event in said(folder, ev.Evaluated)
        },
        "answers": {event.step: event.text for event in said(folder, ev.Sampled)},
        "result": {
            key: finished.result[key] for key in ("state", "steps", "train_loss", "eval_loss")
        },
    }


def place_of(folder: Path) -> Path:
    result = said(folder, ev.Finished)[0].result
    return Path(result["adapter"] or result["model"])


def same_weights(left: Path, right: Path) -> bool:
    tensors = [load_file(next(place_of(run).glob("*.safetensors"))) for run in (left, right)]
    return tensors[0].keys() == tensors[1].keys() and all(
        torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items()
    )
