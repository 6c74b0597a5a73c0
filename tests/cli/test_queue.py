"""queue: real trainings of the tiny model one after the other, asked for in words."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from studio.client.keeper import Keeper
from studio.library import jobs, queue, runs
from studio.library.folders import Home
from tests.support.command_line import ask, call, finish, start, until, write_recipe
from tests.support.keeping import Bench, wait


@pytest.fixture
def folders(bench: Bench) -> list[Path]:
    """Three runs of the fake engine: one that waits for its gate, two that end at once."""
    scripts = ("gate:open,finish", "step:1,finish", "step:1,failed")
    return [bench.run(script) for script in scripts]


def test_two_recipes_and_a_broken_run_overnight(
    home: Home, recipe: Path, tmp_path: Path, rows: Path, tiny_model: Path
) -> None:
    second = write_recipe(tmp_path / "b.yaml", tiny_model, rows, name="second", max_steps=2)
    said = ask(home, "queue", "add", recipe, second)
    assert said.code == 0, said.error
    first = said.result[0]["name"]
    assert [(row["place"], row["state"]) for row in said.result] == [(1, "created"), (2, "created")]
    broken = ask(home, "queue", "add", recipe, "--first").result[0]
    assert broken["place"] == 1
    (Path(broken["run"]) / "recipe.yaml").write_text("model: [", "utf-8")
    done = ask(home, "queue", "run", "--wait")
    assert done.code == 1
    ends = {row["name"]: (row["state"], row["steps"]) for row in done.result}
    assert ends == {
        broken["name"]: ("failed", 0),
        first: ("finished", 3),
        "second": ("finished", 2),
    }
    assert [step["step"] for step in done.events("step")] == [1, 2, 3, 1, 2]
    assert all(row["place"] is None for row in done.result)
    assert Path(done.result[1]["adapter"], "adapter_model.safetensors").is_file()
    assert ask(home, "queue", "list").result == []


def test_one_that_cannot_be_put_in_keeps_no_other_out(home: Home, folders: list[Path]) -> None:
    first, second, third = (folder.name for folder in folders)
    said = ask(home, "queue", "add", first, "nobody", second, "nothing", third)
    assert said.code == 1
    assert all(name in said.error["text"] for name in ("nobody", "nothing"))
    assert queue.load(home).waiting == (first, second, third)


def test_it_is_edited_in_words(home: Home, folders: list[Path]) -> None:
    first, second, third = (folder.name for folder in folders)
    assert ask(home, "queue", "add", *folders).code == 0
    moved = ask(home, "queue", "move", third, 1).result
    assert [row["name"] for row in moved] == [third, first, second]
    assert [row["place"] for row in moved] == [1, 2, 3]
    assert [row["name"] for row in ask(home, "queue", "remove", first).result] == [third, second]
    ask(home, "queue", "add", first, "--at", 2)
    listed = {row["name"]: row["place"] for row in ask(home, "runs").result}
    assert listed == {third: 1, first: 2, second: 3}
    assert f"{second}" in call(home, "queue", "list").out
    assert "number 3 in the queue" in call(home, "runs").out
    assert ask(home, "queue", "stop").result["running"] is False


def test_run_returns_and_the_keeper_goes_on(home: Home, folders: list[Path]) -> None:
    first, second, third = folders
    said = ask(home, "queue", "add", *folders, "--run")
    assert said.code == 0
    wait(lambda: jobs.living(first))
    (row, *_) = ask(home, "queue", "list").result
    assert (row["name"], row["state"], row["place"]) == (first.name, "running", 0)
    (first / "open").touch()
    wait(lambda: not queue.load(home).running)
    assert [runs.state_of(f).state for f in (first, second, third)] == [
        "finished",
        "finished",
        "failed",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to the whole console")
def test_who_only_watches_may_leave(home: Home, folders: list[Path]) -> None:
    ask(home, "queue", "add", folders[0])
    process = start(home, "queue", "run", "--wait")
    lines = until(process, "started")
    process.send_signal(signal.SIGINT)
    said = finish(process, lines)
    assert (said.code, said.error["title"]) == (130, "Interrupted")
    assert queue.load(home).running
    assert jobs.living(folders[0])
    (folders[0] / "open").touch()
    wait(lambda: not queue.load(home).running)


def test_following_survives_the_keeper(home: Home, bench: Bench, folders: list[Path]) -> None:
    process = bench.start_keeper()
    ask(home, "queue", "add", *folders[:2])
    follower = start(home, "queue", "run", "--wait")
    lines = until(follower, "started")
    process.kill()
    process.wait()
    (folders[0] / "open").touch()
    said = finish(follower, lines)
    assert said.code == 0, said.lines[-1]
    assert [row["state"] for row in said.result] == ["finished", "finished"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run",), "empty"),
        (("remove", "starter-lora"), "Not in the queue"),
        (("move", "starter-lora", "1"), "Not in the queue"),
        (("add", "nowhere.yaml"), "nowhere.yaml"),
        (("add", "nobody"), "no run"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    home: Home, folders: list[Path], words: tuple[str, ...], says: str
) -> None:
    assert folders[0].name == "starter-lora"
    said = ask(home, "queue", *words)
    assert said.code == 1
    assert says in said.error["title"] + said.error["text"]


def test_a_machine_that_no_program_may_end_is_said_at_once(home: Home, folders: list[Path]) -> None:
    ask(home, "queue", "add", folders[0])
    with Keeper.connect(home) as keeper:
        if "shut-down" in keeper.machine().abilities:
            pytest.skip("this machine may be turned off")
    said = ask(home, "queue", "run", "--then", "shut-down")
    assert (said.code, queue.load(home).running) == (1, False)
    assert "turn" in said.error["title"]


def test_a_run_is_renamed_and_deleted(home: Home, bench: Bench, folders: list[Path]) -> None:
    first, second, third = folders
    ask(home, "queue", "add", *folders)
    assert ask(home, "runs", "rename", second.name, "better").result["name"] == "better"
    deleted = ask(home, "runs", "delete", third.name).result
    assert Path(deleted["trash"], "content", "job.json").is_file()
    rows = ask(home, "queue", "list").result
    assert [(row["name"], row["place"]) for row in rows] == [(first.name, 1), ("better", 2)]
    chat = bench.chat()
    assert "no run" in ask(home, "runs", "delete", chat).error["text"]
    with Keeper.connect(home) as keeper:
        keeper.start(first)
        said = ask(home, "runs", "delete", first.name)
    assert "running" in said.error["text"]
    (first / "open").touch()


def test_two_who_resume_at_once_share_one_engine(home: Home, bench: Bench) -> None:
    run = bench.run("step:2,gate:open,step:1,finish")
    both = [start(home, "resume", run.name) for _ in range(2)]
    lines = [until(process, "step") for process in both]
    (run / "open").touch()
    said = [finish(process, heard) for process, heard in zip(both, lines, strict=True)]
    assert [one.code for one in said] == [0, 0]
    assert [[step["step"] for step in one.events("step")] for one in said] == [[1, 2, 3]] * 2
    assert len(said[0].events("started")) == 1
    found = jobs.read_events(run)[0]
    assert sum(type(event).__name__ == "Started" for event in found) == 1


def test_runs_finds_what_lives_at_once_also_without_a_keeper(home: Home, bench: Bench) -> None:
    run = bench.run("")
    process = bench.start_keeper()
    with Keeper.connect(home, start=False) as keeper:
        keeper.start(run)
    wait(lambda: runs.state_of(run).step > 2)
    process.kill()
    process.wait()
    began = time.monotonic()
    (row,) = ask(home, "runs").result
    seconds = time.monotonic() - began
    assert (row["name"], row["state"], row["living"]) == (run.name, "running", True)
    assert seconds < 10, "a slow machine is forgiven, a look at every log from its beginning isn't"
    attached = start(home, "resume", run.name)
    lines = until(attached, "step")
    assert ask(home, "stop", run.name).code == 0
    steps = [step["step"] for step in finish(attached, lines).events("step")]
    assert steps == list(range(1, len(steps) + 1))
