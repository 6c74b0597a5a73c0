"""check, estimate: what is wrong with a recipe, and what it takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from studio.cli.console import Console, problem_lines, size
from studio.cli.interrupts import watched
from studio.cli.numbers import whole
from studio.client import actions
from studio.client.keeper import Keeper
from studio.client.preparer import Preparer
from studio.core import memory
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.facts import Gpu, Machine
from studio.core.memory import GIB, Estimate
from studio.core.recipe import DatasetPart, Method, ModelPart, Recipe
from studio.library import datasets, models
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

VERDICTS = {
    "fits": "It fits.",
    "tight": "It is tight: it may not fit.",
    "too big": "It is too big.",
    "unknown": "Whether it fits can't be said.",
}


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parsers of check and estimate."""
    about = "Name every problem of a recipe at once. Exit status 1 when one blocks."
    check = parsers.add_parser("check", parents=[shared], help="check a recipe", description=about)
    check.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file")
    check.set_defaults(run=_check)
    about = "Reckon what a run takes in memory, part by part. An estimate, not a measurement."
    one = parsers.add_parser(
        "estimate", parents=[shared], help="estimate a run's memory", description=about
    )
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("recipe", type=Path, nargs="?", metavar="RECIPE", help="a YAML file")
    what.add_argument("--model", metavar="DIR", help="a model, with default settings")
    one.add_argument("--method", choices=get_args(Method), help="another method")
    one.add_argument(
        "--max-length", type=whole(1), metavar="N", help="another max_length, in tokens"
    )
    one.add_argument("--gpu-gb", type=float, metavar="N", help="a card with N GB instead of this")
    one.add_argument(
        "--measure", action="store_true", help="take two real steps of the longest batch as well"
    )
    one.set_defaults(run=_estimate)


def _check(home: Home, options: argparse.Namespace, console: Console) -> int:
    recipe = actions.load(options.recipe)
    checked = actions.examine(home, recipe, progress=console.progress)
    blocked = bool(checked.blocking)
    lines = problem_lines(checked.problems)
    console.result(
        {"problems": [msgspec.to_builtins(problem) for problem in checked.problems]},
        [*lines, "The recipe can't be run." if blocked else "The recipe can be run."],
    )
    return 1 if blocked else 0


def _estimate(home: Home, options: argparse.Namespace, console: Console) -> int:
    recipe = _changed(_recipe(options), options)
    facts = models.inspect(models.resolve(home, recipe.model))
    machine = _card(options.gpu_gb) if options.gpu_gb else actions.machine_now(home)
    longest = _longest(home, recipe, Path(facts.path)) if options.recipe else 0
    found = memory.estimate(recipe, facts, machine, longest)
    measured = _measured(home, recipe, console) if options.measure else None
    result = msgspec.to_builtins(found) | ({"measured": measured} if measured else {})
    console.result(result, _lines(found) + _measured_lines(measured))
    return 0


def _measured(home: Home, recipe: Recipe, console: Console) -> dict[str, Any]:
    with (
        watched(Cancel, console.remark) as presses,
        Keeper.connect(home, name="estimate") as keeper,
        Preparer(home) as preparer,
    ):
        return actions.measure(
            home,
            recipe,
            keeper=keeper,
            preparer=preparer,
            progress=console.progress,
            hear=console.hear,
            orders=presses.order,
            cancelled=presses.pressed,
        )


def _measured_lines(measured: dict[str, Any] | None) -> list[str]:
    if measured is None:
        return []
    return [
        f"Measured: {size(measured['peak_bytes'])} at the peak, "
        f"{measured['seconds']:.1f} s for a step of {measured['tokens']} tokens.",
    ]


def _recipe(options: argparse.Namespace) -> Recipe:
    if options.model:
        sample = DatasetPart(path=datasets.SAMPLE)
        return Recipe(model=ModelPart(path=options.model), dataset=(sample,))
    from studio.core import problems

    recipe, found = problems.read(actions.load(options.recipe))
    if recipe is None:
        raise actions.refusal(found)
    return recipe


def _changed(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    if options.method:
        recipe = msgspec.structs.replace(recipe, method=options.method)
    if options.max_length:
        data = msgspec.structs.replace(recipe.data, max_length=options.max_length)
        recipe = msgspec.structs.replace(recipe, data=data)
    return recipe


def _longest(home: Home, recipe: Recipe, model: Path) -> int:
    """The longest row's tokens where the rows can be read, else 0: up to max_length."""
    try:
        with Preparer(home) as preparer:
            return preparer.inspect(recipe.dataset, model, recipe.data).max_tokens
    except StudioError:
        return 0


def _card(gigabytes: float) -> Machine:
    """A card of this size, empty but for what a desktop takes."""
    if gigabytes <= 0:
        raise StudioError("No such card", "A card has more than 0 GB.", "Give --gpu-gb as 8 or 24.")
    total = int(gigabytes * GIB)
    card = Gpu(
        index=0,
        name=f"Card with {gigabytes:g} GB",
        total_bytes=total,
        used_bytes=0,
        free_bytes=total,
        compute_capability=(8, 0),
    )
    return Machine(gpus=(card,), reserve_bytes=GIB // 2)


def _lines(found: Estimate) -> list[str]:
    if not found.expected_bytes:
        return [*found.advice, VERDICTS[found.verdict]]
    lines = [f"  {name:<12} {size(count):>10}" for name, count in found.parts.items() if count]
    device = ", ".join(found.devices)
    return [
        f"Estimate for {device}:" if device else "Estimate:",
        *lines,
        f"  {'expected':<12} {size(found.expected_bytes):>10}",
        f"  {'at most':<12} {size(found.upper_bytes):>10}",
        f"  {'free':<12} {size(found.available_bytes):>10}",
        VERDICTS[found.verdict],
        *found.advice,
    ]
