"""Checks of a recipe against the machine, the model and the dataset."""

from __future__ import annotations

from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.problem import Problem
from studio.core.recipe import Recipe


def check(
    recipe: Recipe,
    machine: Machine | None,
    model: ModelFacts | None,
    dataset: DatasetReport | None,
) -> list[Problem]:
    """Every problem at once; what isn't known (None) isn't judged."""
    return []
