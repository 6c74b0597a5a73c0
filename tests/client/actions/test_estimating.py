"""The one place that joins a model's facts, a card, what was measured here, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.client import actions
from studio.core import calibration, memory
from studio.core.cards import machine_with, of_size
from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.core.speed import Speed, SpeedKey, device_of
from studio.library import calibrations, catalogue, speeds
from studio.library.folders import Home


def recipe(model: Path | str) -> Recipe:
    return Recipe(model=ModelPart(path=str(model)), dataset=(DatasetPart(path="sample"),))


@pytest.fixture
def card() -> Machine:
    return machine_with(of_size(8))


def test_what_was_measured_is_in_it(home: Home, tiny_model: Path, card: Machine) -> None:
    one = recipe(tiny_model)
    plain = actions.estimate(home, one, machine=card)
    assert (plain.ratio, plain.machine) == (1.0, card)
    assert plain.estimate == memory.estimate(one, plain.model, card)
    key = calibration.key_of(one, card, plain.estimate)
    expected = plain.estimate.expected_bytes
    new = calibration.measured(key, 2 * expected, expected)
    assert new is not None
    assert calibrations.remember(home, new)
    again = actions.estimate(home, one, machine=card)
    assert again.ratio == 2.0
    assert again.estimate.expected_bytes == pytest.approx(2 * expected, rel=1e-3)


def test_a_time_is_told_only_where_one_was_measured(
    home: Home, tiny_model: Path, card: Machine
) -> None:
    from studio.client.preparer import Preparer

    one = recipe(tiny_model)
    with Preparer(home) as preparer:
        report = preparer.inspect(one.dataset, tiny_model, one.data)
    before = actions.estimate(home, one, machine=card, dataset=report)
    assert before.costs.steps
    assert before.costs.total_seconds is None
    device, driver = device_of(card)
    key = SpeedKey(device=device, driver=driver, dtype="bfloat16", method="lora")
    assert speeds.remember(home, Speed(key=key, flops=1e12, parameters=100_000))
    after = actions.estimate(home, one, machine=card, dataset=report)
    assert after.costs.total_seconds


def test_no_machine_is_asked_for_where_none_is_wanted(tmp_path: Path, tiny_model: Path) -> None:
    nowhere = Home(tmp_path / "nowhere")
    found = actions.estimate(nowhere, recipe(tiny_model), here=False)
    assert found.machine is None
    assert found.estimate.verdict == "unknown"
    assert found.estimate.expected_bytes > 0
    assert not nowhere.root.exists()


def test_a_model_may_be_a_config_or_an_entry_of_the_catalogue(
    home: Home, tiny_model: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "any-name.json"
    alone.write_bytes((tiny_model / "config.json").read_bytes())
    config = json.loads(alone.read_bytes())
    assert actions.model_facts(home, ModelPart(path=str(alone))).config == config
    assert actions.model_facts(home, ModelPart(path=str(tiny_model))).config == config
    known = catalogue.known()[0]
    assert actions.model_facts(home, ModelPart(path=known.id.upper())).config == known.config
    with pytest.raises(StudioError):
        actions.model_facts(home, ModelPart(path="nobody/has-this"))


@pytest.mark.parametrize("content", ["{}", "[]", "{torn", '{"model": "starter"}'])
def test_what_is_no_config_is_refused(home: Home, tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content, "utf-8")
    with pytest.raises(StudioError) as told:
        actions.model_facts(home, ModelPart(path=str(file)))
    assert told.value.fix
    with pytest.raises(StudioError):
        actions.model_facts(home, ModelPart(path=str(tmp_path)))
