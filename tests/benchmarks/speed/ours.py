"""The studio's turn: a real `finetune-studio train`, as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from studio.core import events
from studio.library import jobs, locks
from studio.library.folders import Home, JobFolder
from tests.benchmarks.speed.peers import environment
from tests.benchmarks.speed.plan import Done, Plan
from tests.benchmarks.speed.watch import Peak

LOW_MEMORY: dict[str, Any] = {"gradient_checkpointing": "yes"}


def recipe(plan: Plan, training: dict[str, Any]) -> dict[str, Any]:
    """The plan in the studio's words; `training` says more."""
    return {
        "model": plan.model,
        "dataset": plan.train,
        "method": plan.method,
        "lora": {"rank": plan.rank, "alpha": float(plan.alpha), "dropout": plan.dropout},
        "data": {"max_length": plan.longest, "eval_share": 0.0},
        "training": {
            "max_steps": plan.steps,
            "batch_size": plan.batch,
            "learning_rate": plan.learning_rate,
            "scheduler": "linear",
            "warmup_share": 0.0,
            "weight_decay": 0.0,
            "seed": plan.seed,
            "save_every_minutes": 1000.0,
            **training,
        },
    }


def run(name: str, plan: Plan, home: Home, tokens: int, training: dict[str, Any]) -> Done:
    """Train by the command line; its time is that of the steps alone."""
    out = Path(plan.out)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe(plan, training)), "utf-8")
    before = set(home.runs.iterdir())
    command = [sys.executable, "-m", "studio", "train", str(path), "--json"]
    begun = time.monotonic()
    with (out / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--home", str(home.root)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | environment(plan) | {"FINETUNE_STUDIO_SPARE": "no"},
        )
        folder, engine = _begun(home, before, process)
        peak = Peak(engine) if engine else None
        status = process.wait()
    wall = time.monotonic() - begun
    if status or folder is None or peak is None:
        raise RuntimeError(f"{name}: {(out / 'log').read_text('utf-8', 'replace')[-1500:]}")
    steps = [event for event in jobs.read_events(folder)[0] if isinstance(event, events.Step)]
    result = json.loads((folder / "result.json").read_text("utf-8"))
    return Done(
        name=name,
        train_seconds=steps[-1].seconds,
        wall_seconds=wall,
        peak_bytes=peak.stop(),
        tokens=tokens,
        result=str(result.get("adapter") or result.get("model") or folder / "adapter"),
    )


def _begun(
    home: Home, before: set[Path], process: subprocess.Popen[bytes]
) -> tuple[Path | None, int | None]:
    """The run's folder and its engine's process, once both are there."""
    folder = None
    while process.poll() is None:
        if new := set(home.runs.iterdir()) - before:
            folder = new.pop()
            if jobs.living(folder) and (pid := locks.holder(JobFolder(folder).lock)):
                return folder, pid
        time.sleep(0.01)
    return folder, None
