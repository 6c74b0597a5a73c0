"""settings: values in words; and runs that wait because of them, as the verbs show them."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest

from studio.core.guard import Rules
from studio.library import runs, settings
from studio.library.folders import Home
from tests.support.command_line import ask, call, finish, start, until, write_recipe


def not_now() -> str:
    """Hours that begin in two hours."""
    now = datetime.datetime.now()
    begin, end = (now + datetime.timedelta(hours=h) for h in (2, 3))
    return f"{begin:%H:%M}-{end:%H:%M}"


def test_without_a_key_all_are_shown(home: Home) -> None:
    said = call(home, "settings")
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [
        ["game-mode", "off"],
        ["hot-celsius", "off"],
        ["on-battery", "off"],
        ["hours", "always"],
        ["keep-awake", "on"],
        ["reserve", "512"],
        ["card", "auto"],
        ["without", "none"],
        ["also", "none"],
        ["models-folder", "none"],
    ]
    assert not home.settings.exists()


@pytest.mark.parametrize(
    ("key", "value", "plain", "words"),
    [
        ("game-mode", "on", True, "on"),
        ("keep-awake", "OFF", False, "off"),
        ("on-battery", "yes", True, "on"),
        ("hot-celsius", "83", 83, "83 °C"),
        ("hot-celsius", "off", 0, "off"),
        ("hours", "22-8", "22:00-08:00", "22:00-08:00"),
        ("hours", "always", "", "always"),
        ("reserve", "1.5", 3 << 29, "1.5 GB"),
        ("card", "RTX 3060", "RTX 3060", "RTX 3060"),
        ("card", "1", "1", "1"),
        ("card", "auto", "", "auto"),
    ],
)
def test_a_value_is_kept_and_shown(
    home: Home, key: str, value: str, plain: object, words: str
) -> None:
    settings.save(home, settings.Settings(theme="dark", guard=Rules(hot_celsius=70, hours="1-2")))
    assert ask(home, "settings", key, value).result == {key: plain}
    assert words in call(home, "settings", key).out
    assert ask(home, "settings").result[key] == plain
    kept = settings.load(home)
    untouched = {"hot-celsius": kept.guard.hours == "1-2", "hours": kept.guard.hot_celsius == 70}
    assert kept.theme == "dark"
    assert untouched.get(key, kept.guard.hot_celsius == 70)


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("turbo",), "game-mode, hot-celsius"),
        (("turbo", "on"), "game-mode, hot-celsius"),
        (("game-mode", "maybe"), "on or off"),
        (("hot-celsius", "20"), "from 50 to 110"),
        (("hot-celsius", "warm"), "from 50 to 110"),
        (("hours", "late"), "22:00-08:00"),
        (("hours", "8-8"), "22:00-08:00"),
        (("reserve", "nan"), "gigabytes"),
        (("reserve", "much"), "gigabytes"),
        (("models-folder", "nowhere/at/all"), "that exists"),
    ],
)
def test_a_bad_value_gets_advice_and_changes_nothing(
    home: Home, arguments: tuple[str, ...], fix: str
) -> None:
    said = ask(home, "settings", *arguments)
    assert said.code == 1
    assert fix in said.error["fix"]
    assert not home.settings.exists()


def test_a_folder_is_kept_in_full(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "my models"
    folder.mkdir()
    assert ask(home, "settings", "models-folder", folder).result == {"models-folder": str(folder)}


@pytest.fixture
def recipe(tmp_path: Path, rows: Path, tiny_model: Path) -> Path:
    return write_recipe(tmp_path / "night.yaml", tiny_model, rows, "night", max_steps=4)


def test_a_run_waits_for_its_hours_and_train_waits_with_it(home: Home, recipe: Path) -> None:
    ask(home, "settings", "hours", not_now())
    training = start(home, "train", recipe)
    lines = until(training, "paused")
    (row,) = runs.listing(home)
    assert row.state.pause_reason == "hours"
    said = ask(home, "runs").result[0]
    assert said["state"] == "paused"
    assert said["why"] == "waits: these are not the hours for training"
    assert "waits: these are not the hours" in call(home, "runs").out
    ask(home, "settings", "hours", "always")
    ended = finish(training, lines)
    assert ended.code == 0, ended.err
    assert (ended.result["state"], ended.result["steps"]) == ("finished", 4)
    steps = [event["step"] for event in ended.events("step")]
    assert steps == [1, 2, 3, 4]


def test_a_waiting_run_is_kept_paused_and_taken_up_against_the_rule(
    home: Home, recipe: Path
) -> None:
    ask(home, "settings", "hours", not_now())
    training = start(home, "train", recipe)
    lines = until(training, "paused")
    paused = ask(home, "pause", "night")
    assert paused.code == 0, paused.err
    assert (paused.result["state"], paused.result["why"]) == ("paused", "")
    ended = finish(training, lines)
    assert (ended.result["state"], ended.result["why"]) == ("paused", "")
    again = ask(home, "pause", "night")
    assert again.code == 1
    assert "resume night" in again.error["fix"]
    taken_up = ask(home, "resume", "night")
    assert taken_up.result["state"] == "finished"
    assert [e["step"] for e in taken_up.events("step")][-1] == 4


def test_ctrl_c_leaves_a_waiting_run_waiting(home: Home, recipe: Path) -> None:
    ask(home, "settings", "hours", not_now())
    training = start(home, "train", recipe)
    lines = until(training, "ended")
    training.terminate()
    ended = finish(training, lines)
    assert ended.code == 130
    assert (ended.result["state"], ended.result["why"][:6]) == ("paused", "waits:")
    (row,) = runs.listing(home)
    assert row.state.pause_reason == "hours"
    ask(home, "pause", "night")


def test_doctor_says_what_the_system_allows(home: Home) -> None:
    found = {each["name"]: each for each in ask(home, "doctor").result["checks"]}
    assert {"keep awake", "sleep and shut down", "battery"} <= found.keys()
    assert all(found[name]["text"].endswith(".") for name in found)


def test_settings_of_the_window_survive(home: Home) -> None:
    before = settings.Settings(recent_models=("a",), window={"geometry": "x"})
    settings.save(home, before)
    ask(home, "settings", "on-battery", "on")
    assert settings.load(home) == msgspec.structs.replace(before, guard=Rules(on_battery=True))
