"""The base that an adapter belongs on: known by what it holds, wherever it lies."""

from __future__ import annotations

from pathlib import Path

from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.library import adapter_files, models
from studio.library.adapters.facts import AdapterFacts, facts, last_part
from studio.library.folders import Home


def base_of(home: Home, known: AdapterFacts) -> Path:
    """The model folder that this adapter belongs on: by content, else by path, else by name.

    A path recorded by somebody else is compared with the models that are there, never opened.
    Raises StudioError when no such model is there, or the only one of that name has other shapes.
    """
    here = [model for model in models.listing(home) if not _broken(model)]
    for model in here:
        if known.base_digest and model.digest == known.base_digest:
            return Path(model.path)
    ours = not known.imported and Path(known.path).absolute().is_relative_to(home.root.absolute())
    if ours and known.base and (Path(known.base) / "config.json").is_file():
        return _fitting(known, Path(known.base))
    for model in here:
        if known.base and known.base in (model.path, model.name):
            return _fitting(known, Path(model.path))
    for model in here:
        if known.base_name and known.base_name in (Path(model.path).name, last_part(model.name)):
            return _fitting(known, Path(model.path))
    raise StudioError(
        "Base model not here",
        f"{known.name} was trained on {known.base_name or 'a model it does not name'}, "
        "which isn't among the models of this machine.",
        "Download or import that model, or name its folder as the base.",
    )


def trained_elsewhere(folder: Path, base: Path) -> str:
    """A warning where the adapter was trained on another model of the same shapes, else ""."""
    known = facts(folder)
    if not known.base_digest or known.base_digest == models.inspect(base).digest:
        return ""
    return (
        f"{known.name} was trained on {known.base_name or 'another model'}, whose weights or "
        f"settings are not those of {base.name}: what comes of it may make no sense."
    )


def _fitting(known: AdapterFacts, base: Path) -> Path:
    adapter_files.check_shapes(Path(known.path), base)
    return base


def _broken(model: ModelFacts) -> bool:
    return any(problem.severity == "error" for problem in model.problems)
