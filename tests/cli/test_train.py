"""train, resume, stop, runs: real runs of the tiny model, ended in every way."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from studio.client.keeper import Keeper
from studio.library.folders import Home
from tests.support.command_line import ask, call, finish, start, until, write_recipe

FIELDS = {
    "run",
    "state",
    "steps",
    "train_loss",
    "eval_loss",
    "adapter",
    "tokens_per_second",
    "peak_bytes",
}


@pytest.fixture
def long_recipe(tmp_path: Path, rows: Path, tiny_model: Path) -> Path:
    """A recipe that would take minutes."""
    path = tmp_path / "long.yaml"
    return write_recipe(path, tiny_model, rows, name="long", max_steps=20_000)


def test_a_run_from_recipe_to_adapter(home: Home, recipe: Path) -> None:
    said = ask(home, "train", recipe)
    assert said.code == 0, said.lines[-1]
    result = said.result
    assert set(result) >= FIELDS
    assert (result["state"], result["steps"]) == ("finished", 3)
    assert Path(result["adapter"], "adapter_model.safetensors").is_file()
    log = (Path(result["run"]) / "events.jsonl").read_text("utf-8").splitlines()
    assert said.out.splitlines()[:-1] == log
    steps = said.events("step")
    assert [step["step"] for step in steps] == [1, 2, 3]
    assert {"loss", "learning_rate"} <= set(steps[0]["metrics"])

    (row,) = ask(home, "runs").result
    assert (row["run"], row["state"], row["steps"]) == (result["run"], "finished", 3)
    assert row["adapter"] == result["adapter"]
    assert ask(home, "resume", row["name"]).code == 1


def test_people_see_progress_and_what_was_made(home: Home, recipe: Path) -> None:
    said = call(home, "train", recipe)
    assert said.code == 0
    assert "finished after 3 steps" in said.out
    assert "Adapter" in said.out
    assert "step 1/3" in said.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to the whole console")
def test_control_c_keeps_what_was_learnt_and_resume_goes_on(home: Home, long_recipe: Path) -> None:
    process = start(home, "train", long_recipe)
    lines = until(process, "step")
    process.send_signal(signal.SIGINT)
    said = finish(process, lines)
    assert said.code == 130
    result = said.result
    assert result["state"] == "stopped"
    assert result["steps"] >= 1
    assert Path(result["adapter"], "adapter_config.json").is_file()
    stopped_at = result["steps"]

    resumed = start(home, "resume", "long")
    lines = until(resumed, "step")
    assert json.loads(lines[-1])["step"] == stopped_at + 1
    other = ask(home, "stop", "long")
    assert (other.code, other.result["state"]) == (0, "stopped")
    said = finish(resumed, lines)
    assert (said.code, said.result["state"]) == (0, "stopped")
    assert said.result["steps"] > stopped_at


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to the whole console")
def test_a_second_control_c_cancels(home: Home, long_recipe: Path) -> None:
    process = start(home, "train", long_recipe)
    lines = until(process, "started")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    said = finish(process, lines)
    assert said.code == 130


def test_a_run_outlives_its_command_line_and_is_attached_to(home: Home, long_recipe: Path) -> None:
    process = start(home, "train", long_recipe)
    until(process, "step")
    process.kill()
    process.communicate()
    attached = start(home, "resume", "long")
    lines = until(attached, "step")
    assert json.loads(lines[0])["event"] == "created"
    (row,) = ask(home, "runs").result
    assert (row["state"], row["living"]) == ("running", True)
    assert ask(home, "stop", "lo").code == 0
    assert finish(attached, lines).result["state"] == "stopped"


def test_the_death_of_the_keeper_changes_nothing(home: Home, long_recipe: Path) -> None:
    process = start(home, "train", long_recipe)
    lines = until(process, "step")
    with Keeper.connect(home, start=False) as keeper:
        psutil.Process(keeper.welcome.pid).kill()
    lines += until(process, "step")
    assert ask(home, "stop", "long").code == 0
    said = finish(process, lines)
    assert (said.code, said.result["state"]) == (0, "stopped")
    numbers = [step["step"] for step in said.events("step")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_engine_that_is_killed_ends_in_a_sentence(home: Home, long_recipe: Path) -> None:
    process = start(home, "train", long_recipe)
    lines = until(process, "step")
    pid = next(json.loads(line)["pid"] for line in lines if '"started"' in line)
    os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    said = finish(process, lines)
    assert said.code in (1, 3)
    assert said.error["fix"]
    (row,) = ask(home, "runs").result
    assert (row["state"], row["living"]) == ("crashed", False)


def test_a_stop_that_finds_nobody(home: Home) -> None:
    said = ask(home, "stop", "nothing")
    assert said.code == 1
    assert "no run" in said.error["text"]
