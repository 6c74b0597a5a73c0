"""The wizard's draft on disk, so that it survives a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from studio.core import problems
from studio.core.errors import StudioError
from studio.core.recipe import to_yaml
from studio.library.files import write_whole
from studio.library.folders import Home


def place(home: Home) -> Path:
    """The file of the draft."""
    return home.drafts / "new-run.yaml"


def load(home: Home) -> dict[str, Any]:
    """The draft as saved; empty where there is none or it can't be read."""
    try:
        kept = yaml.safe_load(place(home).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def recipe_data(path: Path) -> dict[str, Any]:
    """A recipe's file as the draft has it; StudioError where it can't be read as one."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise StudioError(
            "The recipe can't be read", f"{path.name} is broken.", "Start from another one."
        ) from error
    recipe, found = problems.read(data)
    if recipe is None:
        raise StudioError(
            "The recipe can't be read",
            found[0].text if found else f"{path.name} is empty.",
            "Start from another one.",
        )
    plain: dict[str, Any] = yaml.safe_load(to_yaml(recipe))
    return plain


def save(home: Home, kept: dict[str, Any]) -> None:
    """Write the draft; StudioError where the home folder can't be written."""
    try:
        write_whole(place(home), yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))
    except OSError as error:
        raise StudioError(
            "Draft not saved",
            f"{place(home)} can't be written ({error.strerror or error}).",
            "Make the folder writable; until then the draft lasts as long as this window.",
        ) from error


def save_recipe(path: Path, text: str) -> Path:
    """Write a recipe's YAML where the user asked for it; StudioError where that fails."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise StudioError(
            "Recipe not saved",
            f"{path} can't be written ({error.strerror or error}).",
            "Choose another folder.",
        ) from error
    return path
