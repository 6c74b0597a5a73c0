"""What a run takes: the arithmetic with all that is known of this machine, in one place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from studio.client.actions.recipes import machine_now
from studio.core import calibration, config_problems
from studio.core.costs import Costs, costs
from studio.core.errors import StudioError
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.memory import Estimate, Ways
from studio.core.recipe import ModelPart, Recipe
from studio.core.sizing.architectures import shapes_of
from studio.core.speed import speed_for
from studio.library import calibrations, catalogue, models, speeds
from studio.library.folders import Home

_TITLE = "The model can't be reckoned with"


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate and what it was made of. `ratio` is what this machine was measured to take over
    the arithmetic, 1.0 where nothing like it was measured; a time among `costs` is there only
    where one was."""

    estimate: Estimate
    costs: Costs
    recipe: Recipe
    model: ModelFacts
    machine: Machine | None = None
    ratio: float = 1.0


def estimate(
    home: Home,
    recipe: Recipe,
    *,
    facts: ModelFacts | None = None,
    machine: Machine | None = None,
    here: bool = True,
    longest: int = 0,
    dataset: DatasetReport | None = None,
    ways: Ways = Ways(),
) -> Estimated:
    """What a run of the recipe takes on this machine, or on the one given.

    With `here` false no machine is asked for: the verdict is "unknown" then. `longest` is the
    longest row's tokens, `dataset` says it too. Raises StudioError without the recipe's model.
    """
    model = facts or model_facts(home, recipe.model)
    if machine is None and here:
        machine = machine_now(home)
    longest = longest or (dataset.max_tokens if dataset else 0)
    kept = calibrations.kept(home)
    found, ratio = calibration.with_ratio(recipe, model, machine, longest, kept=kept, ways=ways)
    return Estimated(
        estimate=found,
        costs=_costs(home, found, recipe, model, machine, dataset),
        recipe=recipe,
        model=model,
        machine=machine,
        ratio=ratio,
    )


def model_facts(home: Home, part: ModelPart) -> ModelFacts:
    """The facts of a model: of its folder, of a config.json alone, or of the catalogue's entry.

    Raises StudioError with every problem of a config that can't be reckoned with.
    """
    path = Path(part.path).expanduser()
    if path.is_file():
        return facts_of_config(path)
    if path.is_dir():
        return _sound(models.inspect(path))
    try:
        return _sound(models.inspect(models.resolve(home, part)))
    except StudioError:
        known = {one.id.lower(): one for one in catalogue.known()}.get(part.path.lower())
        if known is None:
            raise
        return known.facts()


def facts_of_config(path: Path) -> ModelFacts:
    """The facts of a config.json that lies anywhere, without weights."""
    config = read_config(path)
    if config is None:
        raise StudioError(
            "No model's config",
            f"{path.name} {_why_no_config(path)}.",
            "Give a model folder, or the config.json of one.",
        )
    kind = str(config.get("model_type", ""))
    return _sound(ModelFacts(path=str(path), name=path.stem, model_type=kind, config=config))


def read_config(path: Path) -> dict[str, object] | None:
    """The content of a file that is a model's config.json; None for any other file."""
    data: dict[str, object] = _json(path)
    return data if config_problems.looks_like_config(data) else None


def may_be_recipe(path: Path) -> bool:
    """Whether a .json file holds what a recipe's fields would be."""
    data = _json(path)
    return isinstance(data, dict) and not {"model", "dataset", "version"}.isdisjoint(data)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _why_no_config(path: Path) -> str:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return "can't be read"
    except RecursionError:
        return "can't be read: it is nested too deeply"
    except json.JSONDecodeError as error:
        return f"is no JSON: line {error.lineno} can't be read"
    except ValueError:
        return "is no text in UTF-8"
    return "says nothing of a model" if isinstance(data, dict) else "holds no config of a model"


def _costs(
    home: Home,
    found: Estimate,
    recipe: Recipe,
    model: ModelFacts,
    machine: Machine | None,
    dataset: DatasetReport | None,
) -> Costs:
    """Time, disk and system memory, with the speed that was measured for such a run."""
    shapes = shapes_of(model.config)
    parameters = shapes.parameters if shapes else 0
    speed = speed_for(speeds.kept(home), recipe, machine, parameters)
    recomputed = found.assumed.get("gradient_checkpointing") == "yes"
    return costs(recipe, model, machine, dataset, speed, checkpointing=recomputed)


def _sound(facts: ModelFacts) -> ModelFacts:
    if not facts.config:
        first = facts.problems[0]
        raise StudioError(_TITLE, first.text, first.fix, facts.problems)
    found = config_problems.problems(facts.config)
    if not found:
        return facts
    if len(found) == 1:
        raise StudioError(_TITLE, found[0].text, found[0].fix, found)
    fields = ", ".join(problem.field for problem in found)
    raise StudioError(
        _TITLE,
        f"{len(found)} fields of its config.json are missing or make no sense ({fields}).",
        "Take each from the model's own config.json.",
        found,
    )
