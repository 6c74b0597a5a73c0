"""The wizard's draft on disk, so that it survives a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from studio.core.errors import StudioError
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
