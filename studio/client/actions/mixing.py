"""Mix adapters of one base into one: look first, then make it, or only try it on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Hear, run_job
from studio.client.actions.merging import free_out, refuse_broken
from studio.client.keeper import Keeper, Orders
from studio.core.commands import Mix as Job
from studio.core.errors import StudioError
from studio.core.mix_problems import blocks
from studio.core.mixing import Ingredient, Mix
from studio.core.problem import Problem
from studio.library import adapters, mixing
from studio.library.folders import Home


def ingredients(home: Home, wanted: Sequence[tuple[str, float]]) -> tuple[Ingredient, ...]:
    """Adapters by name or folder, each with its weight. StudioError for one that isn't there."""
    found = []
    for text, weight in wanted:
        folder = adapters.find(home, text).absolute()
        found.append(Ingredient(adapter=str(folder), weight=weight, name=_name(folder)))
    return tuple(found)


def mix_problems(home: Home, recipe: Mix, base: Path | None = None) -> list[Problem]:
    """Everything that is wrong or doubtful with mixing these; only headers are read."""
    return mixing.look(home, recipe, base)[1]


def mix(
    home: Home,
    recipe: Mix,
    *,
    out: Path | None = None,
    name: str = "",
    base: Path | None = None,
    score: bool = False,
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> dict[str, Any]:
    """Bake the mix into `out` or into the library as `name`; with neither it is only scored.

    Returns what the job finished with. StudioError, with every problem, for what can't be mixed
    and for an `out` that can't be written to.
    """
    target = free_out(home, out) if out else None
    if base is not None:
        refuse_broken(base)
    model = base or mixing.base_of(home, recipe)
    found = mix_problems(home, recipe, model)
    if blocks(found):
        first = next(one for one in found if one.severity == "error")
        raise StudioError("These can't be mixed", first.text, first.fix, found)
    job = Job(
        mix=recipe,
        base=str(model or ""),
        out=str(target or ""),
        name=name,
        score=score,
    )
    return run_job(home, job, "Mixing", keeper=keeper, hear=hear, orders=orders)


def _name(folder: Path) -> str:
    try:
        return adapters.facts(folder).name
    except StudioError:
        return folder.name
