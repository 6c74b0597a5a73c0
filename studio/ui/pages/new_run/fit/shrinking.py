"""For one part of an estimate: the one change that makes it small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studio.core.memory import Estimate
from studio.core.recipe import Recipe
from studio.core.savings import savings

WORTH = 0.05
"""A change that takes less than this share of a part isn't offered for it."""
NEARLY = 0.8
"""A milder change is offered that takes this share of what the best one would."""


@dataclass(frozen=True)
class Shrink:
    """A change in words, the recipe changed so, and the bytes that the part and the whole lose."""

    text: str
    recipe: Recipe
    part_bytes: int
    whole_bytes: int


def best_for(
    part: str, recipe: Recipe, estimate: Estimate, reckon: Callable[[Recipe], Estimate]
) -> Shrink | None:
    """The mildest change that takes nearly as much off this part as any does, and makes the whole
    smaller; None without one.

    `reckon` estimates a recipe as `estimate` was: on the same machine, with the same rows.
    """
    now = estimate.parts.get(part, 0)
    found = []
    for text, changed in savings(recipe):
        other = reckon(changed)
        less = now - other.parts.get(part, 0)
        whole = estimate.needed_bytes - other.needed_bytes
        if less > now * WORTH and whole > 0:
            found.append(Shrink(text, changed, less, whole))
    most = max((each.part_bytes for each in found), default=0)
    return next((each for each in found if each.part_bytes >= NEARLY * most), None)
