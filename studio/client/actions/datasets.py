"""Own sets of rows: built of texts, of rated chats, or copied from a dataset."""

from __future__ import annotations

from pathlib import Path

from studio.client.lanes import Asked, Progress
from studio.client.preparer import Preparer
from studio.core.own_sets import Built
from studio.core.recipe import DatasetPart
from studio.library import own_datasets, ratings
from studio.library.folders import Home

CHARACTERS = 2000
TOKENS = 512
"""Sizes of a passage where nobody names one."""


def build_from_folder(
    home: Home,
    source: Path,
    name: str,
    *,
    size: int = 0,
    overlap: int = 0,
    model: Path | None = None,
    preparer: Preparer | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Built:
    """An own set of the texts of a file or folder, in passages of at most `size` tokens of the
    model, or characters without one; 0 is the usual size."""
    if preparer is None:
        with Preparer(home) as own:
            return build_from_folder(
                home, source, name, size=size, overlap=overlap, model=model, preparer=own,
                progress=progress, cancelled=cancelled,
            )  # fmt: skip
    size = size or (TOKENS if model else CHARACTERS)
    return preparer.build_passages(source, name, size, overlap, model, progress, cancelled)


def build_from_chats(home: Home, name: str) -> Built:
    """An own set of the answers rated so far; StudioError where there is none."""
    made = own_datasets.facts(ratings.build(home, name))
    return Built(name=made.name, path=made.path, rows=made.rows)


def copy_dataset(
    home: Home,
    part: DatasetPart,
    name: str,
    *,
    preparer: Preparer | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Built:
    """An own set, which can be edited, of the usable rows of a dataset."""
    if preparer is None:
        with Preparer(home) as own:
            return copy_dataset(
                home, part, name, preparer=own, progress=progress, cancelled=cancelled
            )
    return preparer.copy_dataset(part, name, progress, cancelled)
