"""Homes of older studios, as those left them: opened, shown, and gone on with for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from studio.client.keeper import quit_keeper
from studio.core import events
from studio.core.upgrades import FORMATS
from studio.library import adapters, jobs, runs, settings
from studio.library.folders import Home
from studio.ui.pages.new_run import keeping
from tests.support import older_homes
from tests.support.command_line import ask, call

LAST = 45
"""Steps of the paused run of every fixture: 9 epochs of 18 rows, 4 a step."""
ANOTHER_MACHINE = (
    "This run may differ in the last digits from one that was never interrupted, because "
)
"""Begins what is said where processor or cores aren't those of the older studio, as they may be."""


@pytest.fixture(params=older_homes.names())
def older(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_model: Path
) -> Iterator[tuple[str, Home]]:
    """The name of a fixture, and the home made from it."""
    home = older_homes.unpack(request.param, tmp_path, tiny_model)
    yield request.param, home
    quit_keeper(home)


def test_no_format_is_raised_without_a_fixture_of_the_older_one() -> None:
    kept = [older_homes.formats(name) for name in older_homes.names()]
    for kind, now in FORMATS.items():
        known = {formats.get(kind, 0) for formats in kept}
        lacking = set(range(1, now)) - known
        assert not lacking, (
            f"{kind} is of format {now}: tests/fixtures/formats/make.py, run with the code from "
            f"before, has to keep {sorted(lacking)}"
        )


def test_it_is_all_there(older: tuple[str, Home]) -> None:
    _, home = older
    home.make()
    assert json.loads(home.stamp.read_bytes())["format"] == FORMATS["home"]
    rows = {row.name: row.state for row in runs.listing(home)}
    assert {name: state.state for name, state in rows.items()} == {
        "paused": "paused",
        "finished": "finished",
    }
    assert (rows["paused"].step, rows["paused"].total_steps) == (4, LAST)
    assert rows["finished"].step == rows["finished"].total_steps == 5
    assert settings.load(home).theme == "dark"
    assert keeping.load(home) == {"method": "lora", "model": "starter"}
    [adapter] = adapters.listing(home)
    assert (adapter.name, adapter.rank, adapter.problem) == ("finished", 2, "")
    assert adapters.base_of(home, adapter) == home.models / "tiny-llama"


def test_its_settings_are_kept_in_todays_format(older: tuple[str, Home]) -> None:
    _, home = older
    kept = settings.load(home)
    settings.save(home, kept)
    assert settings.load(home) == kept
    assert json.loads(home.settings.read_bytes())["format"] == FORMATS["settings"]


def test_its_runs_and_recipes_are_shown(older: tuple[str, Home]) -> None:
    name, home = older
    was = older_homes.formats(name)["recipe"]
    for run in ("paused", "finished"):
        path = home.root / f"{run}.yaml"
        assert yaml.safe_load(path.read_text("utf-8"))["version"] == was
        recipe = runs.recipe_of(home.runs / run)
        assert (recipe.version, recipe.name, recipe.lora.rank) == (FORMATS["recipe"], run, 2)
        checked = ask(home, "check", path)
        assert checked.code == 0, checked.lines


def test_its_paused_run_goes_on_to_the_end(older: tuple[str, Home]) -> None:
    name, home = older
    folder = home.runs / "paused"
    recipe = (folder / "recipe.yaml").read_bytes()
    said = ask(home, "resume", "paused")
    assert said.code == 0, said.lines[-3:]
    log, _ = jobs.read_events(folder)
    steps = [event.step for event in log if isinstance(event, events.Step)]
    assert steps == list(range(1, LAST + 1)), "no step is lost and none is done twice"
    started = [event for event in log if isinstance(event, events.Started)]
    resumed = {event.pid: event.resumed_from for event in started}
    assert list(resumed.values()) == [0, 4], "one engine before, one now"
    notes = [event for event in log if isinstance(event, events.Note)]
    doubts = [note.text for note in notes if note.severity != "info"]
    assert not [text for text in doubts if not text.startswith(ANOTHER_MACHINE)], (
        "all of it was read"
    )
    losses = [event.metrics["loss"] for event in log if isinstance(event, events.Step)]
    assert losses[4:] == pytest.approx(older_homes.losses(name), abs=1e-4), "it goes on as it was"
    state = runs.state_of(folder)
    assert (state.state, state.format) == ("finished", FORMATS["run"])
    assert state.created_at == log[0].time
    assert (folder / "recipe.yaml").read_bytes() == recipe, "what was asked for stays as written"
    assert {row.name for row in adapters.listing(home)} == {"paused", "finished"}


def test_its_adapter_answers(older: tuple[str, Home]) -> None:
    _, home = older
    said = ask(home, "chat", "--adapter", "finished", "--prompt", "tea", "--max-new-tokens", "4")
    assert said.code == 0, said.lines[-1]
    assert said.result["tokens"] > 0


def test_a_newer_home_is_refused_by_every_way_in(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.stamp.write_text(json.dumps({"format": FORMATS["home"] + 1}), "utf-8")
    before = home.root.stat().st_mtime_ns
    for verb in (["runs"], ["models"], ["train", "x.yaml"], ["doctor"]):
        said = ask(home, *verb)
        assert said.code == 1, said.out
        assert "newer version of the studio" in said.out
        assert "Update the studio" in said.out
    window = call(home)
    assert window.code == 1
    assert "newer version of the studio" in window.err
    assert [path.name for path in home.root.iterdir()] == [home.stamp.name]
    assert home.root.stat().st_mtime_ns == before
