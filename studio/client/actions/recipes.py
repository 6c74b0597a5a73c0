"""Recipes: read a file, check everything at once, estimate what the run takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from studio.client.actions.jobs import Asked, Progress
from studio.client.cancelled import Cancelled
from studio.client.keeper import Keeper
from studio.client.preparer import Preparer
from studio.core import problems
from studio.core.errors import StudioError
from studio.core.facts import DatasetReport, Machine, ModelFacts, chosen_card
from studio.core.problem import Problem
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import (
    calibrations,
    chat_templates,
    datasets,
    hub_datasets,
    models,
    own_datasets,
    settings,
)
from studio.library.folders import Home


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe as far as it could be read, what is known of its parts, and its problems."""

    recipe: Recipe | None
    problems: list[Problem]
    machine: Machine | None = None
    model: ModelFacts | None = None
    dataset: DatasetReport | None = None

    @property
    def blocking(self) -> list[Problem]:
        """The problems that stop a start."""
        return problems.blocking(self.problems)


def load(path: Path) -> Any:
    """The plain data of a recipe file, paths in it made absolute; StudioError if unreadable."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudioError(
            "No such recipe", f"There is no file {path}.", "Give the path of a recipe file."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise StudioError(
            "The recipe can't be read", f"{path}: {reason}.", "Give the path of a YAML file."
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(path, error) from error
    return anchored(data, path.absolute().parent)


def anchored(data: Any, folder: Path) -> Any:
    """Recipe data whose paths (model, datasets, chat template) are looked up beside the recipe
    first."""
    if not isinstance(data, dict):
        return data
    found = dict(data)
    for key in ("model", "dataset"):
        if key in found:
            found[key] = _anchor(found[key], folder)
    part = found.get("data")
    if isinstance(part, dict) and part.get("template") not in chat_templates.MARKS:
        found["data"] = {
            key: _anchor(value, folder) if key == "template" else value
            for key, value in part.items()
        }
    return found


def machine_now(home: Home, keeper: Keeper | None = None) -> Machine:
    """The machine as the keeper sees it, with the reserve and the card of the settings."""
    if keeper is None:
        with Keeper.connect(home) as own:
            return machine_now(home, own)
    wanted, machine = settings.load(home), keeper.machine()
    card = chosen_card(machine.gpus, wanted.card)
    return msgspec.structs.replace(machine, reserve_bytes=wanted.reserve_bytes, card=card)


def examine(
    home: Home,
    data: Any,
    *,
    preparer: Preparer | None = None,
    machine: Machine | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Checked:
    """Everything that is wrong with a recipe (plain data or a Recipe), all at once.

    A dataset of the hub that isn't on this machine is downloaded, since its rows are read.
    """
    if preparer is None:
        with Preparer(home) as own:
            return examine(
                home,
                data,
                preparer=own,
                machine=machine,
                progress=progress,
                cancelled=cancelled,
            )
    if isinstance(data, Recipe):
        recipe, found = data, list[Problem]()
    else:
        read, found = problems.read_leniently(data)
        if read is None:
            return Checked(recipe=None, problems=found)
        recipe = read
    model = _model(home, recipe, found)
    dataset = None
    if _all_resolve(home, recipe, found):
        dataset = _dataset(preparer, recipe, model, found, progress, cancelled)
    machine = machine or machine_now(home)
    judged = problems.check(recipe, machine, model, dataset, calibrations.kept(home))
    return Checked(
        recipe=recipe,
        problems=found + judged,
        machine=machine,
        model=model,
        dataset=dataset,
    )


def check(home: Home, data: Any, *, preparer: Preparer | None = None) -> list[Problem]:
    """The problems of a recipe, errors first."""
    return examine(home, data, preparer=preparer).problems


def refusal(found: list[Problem]) -> StudioError:
    """The error for a recipe that can't be run, with every problem."""
    blocking = problems.blocking(found)
    first = blocking[0]
    if len(blocking) == 1:
        return StudioError("The recipe has a problem", first.text, first.fix, found)
    fields = ", ".join(dict.fromkeys(problem.field or "recipe" for problem in blocking))
    return StudioError(
        "The recipe has problems",
        f"{len(blocking)} problems have to be fixed first ({fields}).",
        "Fix each where it is named; “finetune-studio check” shows them all.",
        found,
    )


def _model(home: Home, recipe: Recipe, found: list[Problem]) -> ModelFacts | None:
    if not recipe.model.path:
        return None
    try:
        return models.inspect(models.resolve(home, recipe.model))
    except StudioError as error:
        fetched = recipe.model == ModelPart(path=models.STARTER)
        text = "The starter model is fetched before the run starts (about 100 MB)."
        found.append(
            Problem(field="model", text=text, severity="info")
            if fetched
            else Problem(field="model", text=error.text, fix=error.fix)
        )
        return None


def _dataset(
    preparer: Preparer,
    recipe: Recipe,
    model: ModelFacts | None,
    found: list[Problem],
    progress: Progress | None,
    cancelled: Asked | None,
) -> DatasetReport | None:
    usable = model is not None and not problems.blocking(list(model.problems))
    folder = Path(model.path) if model and usable else None
    try:
        return preparer.inspect(
            recipe.dataset, folder, recipe.data, progress, cancelled, recipe.training.seed
        )
    except Cancelled:
        raise
    except StudioError as error:
        found += error.problems or [Problem(field="dataset", text=error.text, fix=error.fix)]
        return None


def _all_resolve(home: Home, recipe: Recipe, found: list[Problem]) -> bool:
    """Whether there are datasets and each is here or on the hub; what isn't is found wrong."""
    there = [_resolves(home, part, recipe.dataset, found) for part in recipe.dataset]
    return bool(there) and all(there)


def _resolves(
    home: Home, part: DatasetPart, parts: tuple[DatasetPart, ...], found: list[Problem]
) -> bool:
    try:
        if not own_datasets.find(home, part.path) and not hub_datasets.hub_id(part):
            datasets.resolve(part)  # the hub's are fetched when their rows are read
    except StudioError as error:
        field = "dataset" if len(parts) == 1 else f"dataset[{parts.index(part)}]"
        found.append(Problem(field=field, text=error.text, fix=error.fix))
        return False
    return True


def _anchor(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_anchor(part, folder) for part in value]
    if isinstance(value, dict) and "path" in value:
        return value | {"path": _anchor(value["path"], folder)}
    if not isinstance(value, str) or value in ("", models.STARTER, datasets.SAMPLE):
        return value
    for base in (folder, Path.cwd()):
        path = base / Path(value).expanduser()
        if path.exists():
            return str(path)
    return value


def _not_yaml(path: Path, error: Exception) -> StudioError:
    mark = getattr(error, "problem_mark", None)
    line = f" in line {mark.line + 1}" if mark else ""
    what = str(getattr(error, "problem", None) or "it is nested too deeply")
    return StudioError(
        "The recipe is no YAML",
        f"{path.name} can't be read{line}: {what}.",
        "Fix that line; a recipe holds one “field: value” a line, groups indented.",
    )
