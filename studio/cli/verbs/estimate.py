"""estimate: what a run takes in memory, part by part, and what would make it fit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from studio.cli import fit_words, wishes
from studio.cli.console import Console
from studio.client import actions
from studio.client.actions import Estimated
from studio.core.autofit import Fitted, make_it_fit, make_use_of
from studio.core.errors import StudioError
from studio.core.facts import DatasetReport, ModelFacts
from studio.core.problem import Problem
from studio.core.recipe import DatasetPart, ModelPart, Recipe, to_yaml
from studio.core.sizing.architectures import shapes_of
from studio.library import datasets
from studio.library.files import write_whole
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers
    from studio.cli.wishes import Wishes

_MADE_UP = (DatasetPart(path=datasets.SAMPLE),)


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of estimate."""
    about = (
        "Reckon what a run takes in memory, part by part: an estimate by arithmetic, corrected by "
        "what was measured on this machine. With --measure real steps are taken as well."
    )
    one = parsers.add_parser(
        "estimate", parents=[shared], help="estimate a run's memory", description=about
    )
    one.add_argument(
        "recipe",
        type=Path,
        nargs="?",
        metavar="RECIPE|DIR|CONFIG.json",
        help="a recipe; or a model's folder or its config.json alone, with default settings",
    )
    one.add_argument(
        "--model", metavar="DIR|CONFIG.json|ID", help="a model instead, with default settings"
    )
    wishes.add_settings(one)
    one.add_argument("--fit", action="store_true", help="list the changes that make it fit")
    one.add_argument(
        "--use-room", action="store_true", help="list what room that is left could be used for"
    )
    one.add_argument("--out", type=Path, metavar="FILE", help="write the recipe with the changes")
    one.add_argument(
        "--measure", action="store_true", help="take real steps of the longest batch as well"
    )
    one.set_defaults(run=_estimate, homeless=_homeless)


def _homeless(options: argparse.Namespace) -> bool:
    """Whether nothing of the studio's folder is needed: for a config without weights, and to say
    that nothing is named."""
    named = options.recipe or (options.model and Path(options.model))
    if not named:
        return True
    if (named / "config.json").is_file():
        return not any(named.glob("*.safetensors"))
    return _config_alone(options) is not None


def _estimate(home: Home, options: argparse.Namespace, console: Console) -> int:
    wanted, recipe, facts = _asked(home, options)
    planned = recipe.dataset is _MADE_UP or wanted.length
    dataset = None if planned else _dataset(home, recipe, Path(facts.path))
    found = actions.estimate(
        home,
        recipe,
        facts=facts,
        machine=wanted.machine,
        here=facts.tensor_bytes > 0,
        dataset=dataset,
        ways=wanted.ways,
    )
    fitted = _fitted(options, wanted, found, dataset)
    measured = _measured(home, recipe, console) if options.measure else None
    result = fit_words.plain(found, fitted)
    if measured:
        result["measured"] = measured
    lines = [
        *fit_words.lines(found),
        *fit_words.fitted_lines(fitted, options.out),
        *fit_words.measured_lines(measured),
    ]
    console.result(result, lines)
    return 0


def _asked(home: Home, options: argparse.Namespace) -> tuple[Wishes, Recipe, ModelFacts]:
    """The settings, the recipe with them, and its model. All that is wrong is named at once."""
    wanted, problems = wishes.read(options)
    problems += _contradictions(options)
    try:
        recipe = _recipe(options)
        facts = actions.model_facts(home, recipe.model)
        changed = wanted.applied(recipe, shapes_of(facts.config))
        if recipe.dataset is _MADE_UP and wanted.batch:
            step = msgspec.structs.replace(changed.training, batch_size=wanted.batch)
            changed = msgspec.structs.replace(changed, training=step)
    except StudioError as error:
        if not problems and (options.recipe or options.model):
            raise
        own = Problem(field="RECIPE", text=error.text, fix=error.fix)
        wishes.refuse([*problems, *(error.problems or [own])], "estimate")
        raise
    wishes.refuse(problems, "estimate")
    return wanted, changed, facts


def _config_alone(options: argparse.Namespace) -> Path | None:
    """The config.json that was given instead of a recipe or a model, sound or not."""
    path = options.recipe or (options.model and Path(options.model))
    if not path or not Path(path).is_file():
        return None
    is_one = actions.read_config(Path(path)) is not None
    is_meant = Path(path).suffix == ".json" and not actions.may_be_recipe(Path(path))
    return Path(path) if is_one or is_meant else None


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe, or one of default settings made up for a model."""
    config = _config_alone(options)
    folder = options.recipe and (options.recipe / "config.json").is_file()
    if config or folder or options.model:
        path = str(config or options.model or options.recipe)
        return Recipe(model=ModelPart(path=path), dataset=_MADE_UP)
    if not options.recipe:
        text = "Nothing is named that could be estimated."
        raise StudioError("No recipe", text, "Give a recipe, a model's folder or a config.json.")
    from studio.core import problems

    recipe, found = problems.read(actions.load(options.recipe))
    if recipe is None:
        raise actions.refusal(found)
    return recipe


def _contradictions(options: argparse.Namespace) -> list[Problem]:
    """What can't be asked for together."""
    found = []
    if options.recipe and options.model:
        fix = "Give one of the two."
        found.append(Problem(field="--model", text="A recipe is named as well.", fix=fix))
    if options.measure and (options.card is not None or options.gpu_gb is not None):
        text = "A card that isn't in this machine can't be measured."
        fix = "Leave out --measure, or --card and --gpu-gb."
        found.append(Problem(field="--measure", text=text, fix=fix))
    if options.measure and _config_alone(options):
        text = "A config without weights can't be measured."
        fix = "Give a recipe or a model's folder, or leave out --measure."
        found.append(Problem(field="--measure", text=text, fix=fix))
    if options.fit and options.use_room:
        text = "A run can't be made smaller and larger at once."
        found.append(Problem(field="--use-room", text=text, fix="Leave out one of the two."))
    if options.out is not None and not (options.fit or options.use_room):
        fix = "Add one of them, or leave out --out."
        text = "Only --fit and --use-room make a recipe."
        found.append(Problem(field="--out", text=text, fix=fix))
    if options.out is not None and options.out.exists():
        text = f"{options.out} is there already."
        found.append(Problem(field="--out", text=text, fix="Give another name."))
    return found


def _dataset(home: Home, recipe: Recipe, model: Path) -> DatasetReport | None:
    """What the recipe's rows are where they can be read."""
    from studio.client.preparer import Preparer

    try:
        with Preparer(home) as preparer:
            return preparer.inspect(recipe.dataset, model, recipe.data)
    except StudioError:
        return None


def _fitted(
    options: argparse.Namespace, wanted: Wishes, found: Estimated, dataset: DatasetReport | None
) -> Fitted | None:
    """What makes it fit, or uses the room, where that is asked for; written down where that is
    asked for too."""
    if not (options.fit or options.use_room):
        return None
    if found.machine is None:
        fix = "Name a card with --gpu-gb or --card."
        raise StudioError("No card to fit", "A config without weights can't be run here.", fix)
    longest = dataset.max_tokens if dataset else 0
    asked = (found.recipe, found.model, found.machine, longest)
    how: dict[str, Any] = {"ways": wanted.ways, "calibration": found.ratio}
    if options.use_room:
        fitted = make_use_of(*asked, **how)
    else:
        fitted = make_it_fit(*asked, lengths=dataset.lengths if dataset else None, **how)
    if options.out is not None:
        write_whole(options.out, to_yaml(fitted.recipe))
    return fitted


def _measured(home: Home, recipe: Recipe, console: Console) -> dict[str, Any]:
    from studio.cli.interrupts import watched
    from studio.client.keeper import Keeper
    from studio.client.preparer import Preparer
    from studio.core.commands import Cancel

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
