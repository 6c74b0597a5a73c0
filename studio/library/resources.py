"""Where the files lie that are no code: the sample dataset, presets, icons, fonts."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def root() -> Path:
    """`studio/_resources` in an installed wheel, `resources` at the top of a checkout."""
    installed = PACKAGE / "_resources"
    return installed if installed.is_dir() else PACKAGE.parent / "resources"


def path(*parts: str) -> Path:
    """The path of one resource, for example `path("sample", "train.jsonl")`."""
    return root().joinpath(*parts)
