"""Merge an adapter into its base, into a folder that may be written to."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Hear, run_job
from studio.client.keeper import Keeper, Orders
from studio.core.commands import Merge
from studio.core.errors import StudioError
from studio.core.recipe import ModelPart
from studio.library import adapters, datasets, models, resources, runs, targets
from studio.library.folders import Home


def merge(
    home: Home,
    adapter: Path,
    out: Path,
    *,
    base: Path | None = None,
    dtype: str = "auto",
    onto: str = "auto",
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> dict[str, Any]:
    """Write base + adapter as a model folder: path, bytes, seconds and the passport.

    Without `base` the model that the adapter was trained on is looked for. StudioError where the
    adapter belongs to another base, or `out` can't be written to. For `onto` see Merge.
    """
    target = free_out(home, out)
    known = adapters.facts(adapter)
    model = base if base is not None else adapters.base_of(home, known)
    if base is not None:
        refuse_broken(model)
    job = Merge(adapter=str(adapter), out=str(target), base=str(model), dtype=dtype, onto=onto)
    return run_job(home, job, "Merging", keeper=keeper, hear=hear, orders=orders)


def free_out(home: Home, out: Path) -> Path:
    """The absolute path of an `--out`.

    StudioError where it exists and isn't empty, lies inside a model, dataset or run or one of the
    studio's own folders, or can't be written to.
    """
    own = (home.adapters, home.runs, home.jobs, home.keeper, home.trash, home.logs, home.datasets)
    taken = dict.fromkeys((path.resolve() for path in own), "a folder of the studio")
    return targets.check_new_folder(
        out, taken=taken | dict.fromkeys(_dataset_folders(home), "a dataset")
    )


def refuse_broken(model: Path) -> None:
    """StudioError where a model folder can't be loaded."""
    for problem in models.inspect(model).problems:
        if problem.severity == "error":
            raise StudioError("The model can't be used", problem.text, problem.fix)


def model_folder(home: Home, text: str) -> Path:
    """The folder of a model given by path, name, hub id or "starter"; a broken one is refused."""
    folder = models.resolve(home, ModelPart(path=text))
    refuse_broken(folder)
    return folder


def _dataset_folders(home: Home) -> set[Path]:
    """The sample's folder, and those that runs of this home were trained on."""
    found = {resources.path("sample").resolve()}
    for row in runs.listing(home):
        with contextlib.suppress(StudioError):
            parts = runs.recipe_of(row.path).dataset if row.kind == "train" else ()
            found.update(path.resolve() for path in map(datasets.resolve, parts) if path.is_dir())
    return found
