"""Merge an adapter into its base, into a folder that may be written to."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec

from studio.client.actions.jobs import Hear, Orders, run_job
from studio.client.keeper import Keeper
from studio.core.commands import Merge
from studio.core.errors import StudioError
from studio.core.recipe import ModelPart
from studio.library import adapters, datasets, models, resources, runs
from studio.library.folders import Home

MARKS = {
    "config.json": "a model",
    "adapter_config.json": "an adapter",
    "events.jsonl": "a run",
    "dataset_info.json": "a dataset",
    "dataset_dict.json": "a dataset",
}


def merge(
    home: Home,
    adapter: Path,
    out: Path,
    *,
    base: Path | None = None,
    dtype: str = "auto",
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> dict[str, Any]:
    """Write base + adapter as a model folder: path, bytes, seconds and the passport.

    Without `base` the model that the adapter was trained on is looked for. StudioError where the
    adapter belongs to another base, or `out` can't be written to.
    """
    target = free_out(home, out)
    known = adapters.facts(adapter)
    model = base if base is not None else adapters.base_of(home, known)
    if base is not None:
        refuse_broken(model)
    job = Merge(adapter=str(adapter), out=str(target), base=str(model), dtype=dtype)
    return run_job(home, job, "Merging", keeper=keeper, hear=hear, orders=orders)


def free_out(home: Home, out: Path) -> Path:
    """The absolute path of an `--out`.

    StudioError where it exists and isn't empty, lies inside a model, dataset or run, or can't be
    written to.
    """
    target = out.expanduser().absolute()
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise StudioError(
            "The folder is taken",
            f"{target} exists and is not empty.",
            "Name a folder that doesn't exist yet, or an empty one.",
        )
    real = target.resolve()
    for folder in (real, *real.parents):
        if what := _what_is(home, folder):
            raise StudioError(
                f"Inside {what}",
                f"{target} lies inside {what} ({folder}).",
                "Name a folder outside of it.",
            )
    _refuse_unwritable(target)
    return target


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


def _what_is(home: Home, folder: Path) -> str | None:
    for name, what in MARKS.items():
        if (folder / name).is_file():
            return what
    own = (home.adapters, home.runs, home.jobs, home.keeper, home.trash, home.logs)
    if folder in {path.resolve() for path in own}:
        return "a folder of the studio"
    if folder == resources.path("sample").resolve() or folder in _dataset_folders(home):
        return "a dataset"
    return None


def _dataset_folders(home: Home) -> set[Path]:
    """Folders that runs of this home were trained on."""
    found: set[Path] = set()
    for row in runs.listing(home):
        with contextlib.suppress(StudioError):
            parts = runs.recipe_of(row.path).dataset if row.kind == "train" else ()
            found.update(path.resolve() for path in map(datasets.resolve, parts) if path.is_dir())
    return found


def _refuse_unwritable(target: Path) -> None:
    parent = next(folder for folder in (target, *target.parents) if folder.exists())
    probe = parent / f".studio-{msgspec.json.encode(str(target)).hex()[:8]}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StudioError(
            "The folder can't be written",
            f"Nothing can be written into {parent} ({error.strerror or error}).",
            "Choose another folder, or make this one writable.",
        ) from error
