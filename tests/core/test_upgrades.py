"""Older recipes become today's; newer ones are refused."""

from __future__ import annotations

import pytest

from studio.core import upgrades
from studio.core.errors import StudioError
from studio.core.reading import read
from studio.core.recipe import VERSION, Recipe


def test_there_is_a_step_from_every_older_format() -> None:
    older = {(kind, n) for kind, now in upgrades.FORMATS.items() for n in range(1, now)}
    assert set(upgrades.STEPS) == older


def test_plain_data_becomes_todays_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(upgrades.FORMATS, "adapter", 3)
    steps = upgrades.STEPS | {
        ("adapter", 1): lambda data: data | {"of": "two"},
        ("adapter", 2): lambda data: {"was": data["of"], "name": data["name"]},
    }
    monkeypatch.setattr(upgrades, "STEPS", steps)
    first = {"name": "a"}
    wanted = {"was": "two", "name": "a"}
    assert upgrades.upgraded("adapter", first, "It") == wanted
    assert first == {"name": "a"}, "the argument isn't changed"
    assert upgrades.upgraded("adapter", {"format": 3} | wanted, "It") == wanted
    with pytest.raises(upgrades.Newer, match="It was written by a newer version"):
        upgrades.upgraded("adapter", {"format": 4}, "It")


def test_a_recipe_newer_than_the_studio_is_refused() -> None:
    with pytest.raises(StudioError, match="newer") as refused:
        upgrades.upgrade({"version": VERSION + 1})
    assert f"version {VERSION + 1}" in refused.value.text
    assert "Update the studio" in refused.value.fix


def test_todays_recipe_stays_as_it_is() -> None:
    data = {"version": VERSION, "model": "starter"}
    assert upgrades.upgrade(data) == data
    assert upgrades.upgrade({"model": "starter"}) == {"model": "starter"}


def test_the_first_version_means_what_it_meant() -> None:
    first = {
        "version": 1,
        "task": "causal-lm",
        "model": "starter",
        "dataset": "sample",
        "method": "qlora",
        "training": {"epochs": 2.0, "seed": 7},
    }
    before = dict(first)
    recipe, problems = read(first)
    assert problems == []
    assert isinstance(recipe, Recipe)
    assert (recipe.version, recipe.method) == (VERSION, "qlora")
    assert (recipe.training.epochs, recipe.training.seed) == (2.0, 7)
    assert (recipe.training.keep_checkpoints, recipe.training.on_trouble) == (2, "stop")
    assert first == before, "the argument isn't changed"


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.0, None])
def test_what_is_no_version_is_left_to_the_reader(version: object) -> None:
    data = {"version": version}
    assert upgrades.upgrade(data) == data
