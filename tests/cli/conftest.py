"""Recipes on the tiny model, and a home in which one has been trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.client.keeper import quit_keeper
from studio.library.folders import Home
from tests.support.command_line import ask, write_recipe, write_rows


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A dataset of 48 chat rows."""
    return write_rows(tmp_path / "rows.jsonl", 48)


@pytest.fixture
def recipe(tmp_path: Path, rows: Path, tiny_model: Path) -> Path:
    """A recipe that takes three steps on the tiny model."""
    return write_recipe(tmp_path / "recipe.yaml", tiny_model, rows, max_steps=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Home]:
    """A home in which a run “first” has ended well; its keeper is not running."""
    folder = tmp_path_factory.mktemp("trained")
    home = Home(folder / "home").make()
    data = write_rows(folder / "data.jsonl", 48)
    path = write_recipe(folder / "first.yaml", tiny_model, data, max_steps=3, name="first")
    said = ask(home, "train", path)
    assert said.code == 0, said.error
    quit_keeper(home)
    yield home
    quit_keeper(home)


@pytest.fixture
def library(trained: Home) -> Iterator[Home]:
    """The home of `trained`; a keeper that the test starts is ended."""
    yield trained
    quit_keeper(trained)
