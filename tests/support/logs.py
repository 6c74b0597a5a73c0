"""Logs of runs as an engine writes them, made up: for lists and plots, not for learning."""

from __future__ import annotations

import math
import time
from pathlib import Path

from studio.core import events as ev
from studio.core.recipe import DatasetPart, LoraPart, ModelPart, Recipe
from studio.library import runs
from studio.library.files import append_line
from studio.library.folders import Home, JobFolder


def recipe(name: str) -> Recipe:
    return Recipe(
        name=name,
        model=ModelPart(path="/models/SmolLM2-135M-Instruct"),
        dataset=(DatasetPart(path="sample"),),
        lora=LoraPart(rank=16),
        sample_prompts=("Order 512: one green lamp for Anna.",),
    )


def training(steps: int, total: int, vram: bool = False, began: float = 0.0) -> list[ev.AnyEvent]:
    """A run of `total` steps that got to step `steps`, two seconds a step."""
    now = began or time.time() - 2.0 * steps
    decided = {"device": "cpu", "dtype": "bfloat16", "micro_batch_size": 8, "threads": 2}
    found: list[ev.AnyEvent] = [
        ev.Stage(time=now, text="Loading the model"),
        ev.Started(time=now, pid=1, total_steps=total, epochs=3.0, decided=decided),
    ]
    every = max(1, total // 12)
    for step in range(1, steps + 1):
        now += 2.0
        found.append(_step(now, step, total, vram))
        if step % every == 0:
            found += _evaluation(now, step, total)
    return found


def write(home: Home, name: str, *parts: list[ev.AnyEvent]) -> Path:
    """A run of this name with these events behind its Created."""
    folder = runs.create(home, recipe(name))
    for part in parts:
        append_line(JobFolder(folder).events, b"\n".join(ev.encode(event) for event in part))
    return folder


def _step(now: float, step: int, total: int, vram: bool) -> ev.Step:
    wave = math.sin(step * 12.9898) * 43758.5453
    noise = (wave - math.floor(wave) - 0.5) * 0.25
    metrics: dict[str, float | None] = {
        "loss": 0.75 + 1.7 * math.exp(-5.0 * step / total) + noise,
        "learning_rate": 2e-4 * min(1.0, step / (0.05 * total)) * (1 - step / (total + 1)),
        "grad_norm": 1.0 + noise,
        "tokens_per_second": 2900 + 100 * noise,
    }
    memory = (10.9 + 0.4 * math.sin(step / 20)) * 2**30
    metrics["vram_bytes" if vram else "memory_bytes"] = memory
    epoch = 3.0 * step / total
    return ev.Step(
        time=now, step=step, metrics=metrics, tokens=step * 4000, seconds=2.0 * step, epoch=epoch
    )


def _evaluation(now: float, step: int, total: int) -> list[ev.AnyEvent]:
    loss = 0.85 + 1.5 * math.exp(-5.0 * step / total)
    return [
        ev.Evaluated(time=now, step=step, metrics={"loss": loss}, best=True),
        ev.Sampled(
            time=now,
            step=step,
            prompt="Order 512: one green lamp for Anna.",
            text='{"id": 512, "item": "lamp", "colour": "green", "name": "Anna"}',
        ),
        ev.Saved(time=now, step=step, path=f"checkpoints/{step}", bytes=29 << 20, seconds=0.2),
    ]
