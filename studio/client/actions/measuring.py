"""Measure what a run takes: real steps of its longest batch, nothing kept."""

from __future__ import annotations

import shutil
from typing import Any

from studio.client.actions.jobs import Asked, Hear, Progress, wait
from studio.client.keeper import Keeper, Orders
from studio.client.preparer import Preparer
from studio.core.commands import Measure
from studio.core.recipe import Recipe, to_yaml
from studio.library import jobs, models
from studio.library.files import write_whole
from studio.library.folders import Home, JobFolder


def measure(
    home: Home,
    recipe: Recipe,
    *,
    keeper: Keeper,
    preparer: Preparer,
    steps: int = 2,
    progress: Progress | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
    cancelled: Asked | None = None,
) -> dict[str, Any]:
    """Bytes at the peak, seconds a step, tokens in it. The job ends with its client."""
    model = models.resolve(home, recipe.model)
    folder = jobs.create(home, Measure(steps=steps))
    try:
        write_whole(JobFolder(folder).recipe, to_yaml(recipe))
        preparer.prepare(folder, recipe, model, on_progress=progress, cancelled=cancelled)
        keeper.start(folder)
        return wait(keeper, folder, 0, hear, orders).result("Measuring")
    finally:
        if not jobs.living(folder):
            shutil.rmtree(folder, ignore_errors=True)
