"""However an engine ends: a sentence, no process left, and everything else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.core.errors import StudioError
from studio.core.run_state import replay
from studio.library import jobs, runs
from studio.library.folders import JobFolder
from tests.support.keeping import Bench, Ear, gone, wait


def _pid(found: list[events.AnyEvent]) -> int:
    return next(event.pid for event in found if isinstance(event, events.Started))


def _children(found: list[events.AnyEvent]) -> list[int]:
    notes = [event.text for event in found if isinstance(event, events.Note)]
    return [int(text.split()[1]) for text in notes if text.startswith("child ")]


@pytest.mark.parametrize(
    ("script", "code", "title", "text"),
    [
        ("step:3,segfault", -11, "The engine crashed", "SIGSEGV"),
        ("step:3,kill", -9, "The engine was killed", "by force"),
        ("step:3,exit:7", 7, "The engine ended without a word", "exit code 7"),
        ("step:3,exit:0", 0, "The engine ended without a word", "exit code 0"),
        ("step:3,raise", 1, "The engine failed", "ValueError: the numbers don't add up"),
        ("step:3,memory", 1, "Out of memory", "more memory"),
        ("mute,exit:2", 2, "The engine ended without a word", "exit code 2"),
    ],
)
def test_each_crash_is_a_sentence(
    bench: Bench, keeper: Keeper, script: str, code: int, title: str, text: str
) -> None:
    folder = bench.run(script)
    keeper.start(folder)
    found = Ear(keeper, folder).to_end()
    last = found[-1]
    assert isinstance(last, events.Ended)
    assert (last.code, last.title) == (code, title)
    assert text in last.text
    assert last.fix
    assert runs.state_of(folder).state == "crashed"
    assert not jobs.living(folder)
    assert keeper.jobs() == []


def test_an_engine_that_names_its_error_is_not_overruled(bench: Bench, keeper: Keeper) -> None:
    folder = bench.run("step:1,failed")
    keeper.start(folder)
    found = Ear(keeper, folder).to_end()
    assert found[-1] == events.Ended(code=1, time=found[-1].time)
    state = replay(found)
    assert (state.state, state.title, state.fix) == ("failed", "Bad rows", "Add some.")


def test_crash_before_the_first_word_of_a_resumed_run(bench: Bench, keeper: Keeper) -> None:
    folder = bench.run("")
    keeper.start(folder)
    ear = Ear(keeper, folder)
    ear.until(events.Step)
    keeper.tell(folder, commands.Pause())
    assert replay(ear.to_end()).state == "paused"
    (folder / "fake.txt").write_text("mute,exit:5", "utf-8")
    keeper.start(folder, commands.Train(resume=True))
    state = replay([*ear.events, *Ear(keeper, folder, ear.offset).to_end()])
    assert state.state == "crashed"
    assert "exit code 5" in state.text
    assert jobs.job_of(folder) == commands.Train(resume=True)


def test_rubbish_in_the_log_is_noted_and_read_over(bench: Bench, keeper: Keeper) -> None:
    folder = bench.run("step:2,rubbish,step:2,finish")
    keeper.start(folder)
    found = Ear(keeper, folder).to_end()
    warnings = [e for e in found if isinstance(e, events.Note) and e.severity == "warning"]
    assert len(warnings) == 5
    state = replay(found)
    assert (state.state, state.step) == ("finished", 4)


def test_a_flood_arrives_whole(bench: Bench, keeper: Keeper) -> None:
    folder = bench.run("flood:20000,finish")
    keeper.start(folder)
    found = Ear(keeper, folder).to_end()
    assert sum(isinstance(event, events.Note) for event in found) == 20_000
    assert replay(found).state == "finished"


@pytest.mark.parametrize("end", ["segfault", "exit:0", "finish"])
def test_workers_are_swept(bench: Bench, keeper: Keeper, end: str) -> None:
    folder = bench.run(f"step:1,child,escaped_child,{end}")
    keeper.start(folder)
    children = _children(Ear(keeper, folder).to_end())
    assert len(children) == 2
    assert all(gone(pid) for pid in children)


def test_other_jobs_go_on(bench: Bench, keeper: Keeper) -> None:
    healthy, broken = bench.run(""), bench.run("step:1,child,segfault")
    keeper.start(healthy)
    keeper.start(broken)
    Ear(keeper, broken).to_end()
    ear = Ear(keeper, healthy)
    step = ear.until(events.Step)
    assert isinstance(step, events.Step)
    ear.hear(lambda event: isinstance(event, events.Step) and event.step > step.step)
    assert [row.name for row in keeper.jobs()] == [healthy.name]


@pytest.mark.parametrize("script", ["hang", "deaf", "ignore_terminate,hang", "mute,hang"])
def test_cancelling_what_does_not_answer(bench: Bench, keeper: Keeper, script: str) -> None:
    folder = bench.run(f"{script}" if script.startswith("mute") else f"step:1,child,{script}")
    keeper.start(folder)
    wait(lambda: jobs.living(folder))
    ear = Ear(keeper, folder)
    keeper.tell(folder, commands.Cancel())
    found = ear.to_end()
    assert [type(event) for event in found[-2:]] == [events.Cancelled, events.Ended]
    assert replay(found).state == "cancelled"
    assert all(gone(pid) for pid in _children(found))


def test_a_hung_stop_is_forced_and_said(bench: Bench) -> None:
    bench.start_keeper(patience=0.0005)
    with Keeper.connect(bench.home, start=False) as keeper:
        folder = bench.run("step:1,hang")
        keeper.start(folder)
        ear = Ear(keeper, folder)
        ear.until(events.Step)
        keeper.tell(folder, commands.Stop())
        last = ear.to_end()[-1]
    assert isinstance(last, events.Ended)
    assert last.title == "The engine had to be killed"
    assert "stop" in last.text


def test_commands_reach_the_engine(bench: Bench, keeper: Keeper, run: Path) -> None:
    keeper.start(run)
    ear = Ear(keeper, run)
    keeper.tell(run, commands.Save())
    ear.until(events.Saved)
    keeper.tell(run, commands.Sample())
    ear.until(events.Sampled)
    keeper.tell(run, commands.Stop())
    found = ear.to_end()
    state = replay(found)
    assert (state.state, state.result["state"]) == ("stopped", "stopped")
    assert gone(_pid(found))


def test_a_command_waits_for_an_engine_that_is_still_loading(bench: Bench, keeper: Keeper) -> None:
    folder = bench.run("mute,gate:open")
    keeper.start(folder)
    wait(lambda: jobs.living(folder))
    keeper.tell(folder, commands.Stop())
    assert [row.state for row in keeper.jobs()] == ["ending"]
    (folder / "open").touch()
    assert replay(Ear(keeper, folder).to_end()).state == "stopped"


def test_one_engine_a_folder(keeper: Keeper, run: Path) -> None:
    keeper.start(run)
    with pytest.raises(StudioError, match="Already running"):
        keeper.start(run)


def test_what_is_no_job_is_refused(keeper: Keeper, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="Not a job"):
        keeper.start(tmp_path)
    with pytest.raises(StudioError, match="Not a job"):
        keeper.watch(keeper.home.runs / ".." / ".." / "elsewhere")
    (keeper.home.runs / "empty").mkdir()
    with pytest.raises(StudioError, match="can't be started"):
        keeper.start(keeper.home.runs / "empty")


def test_telling_the_dead(bench: Bench, keeper: Keeper) -> None:
    folder = bench.run("finish")
    with pytest.raises(StudioError, match="Not running"):
        keeper.tell(folder, commands.Stop())


def test_an_engine_that_cannot_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    monkeypatch.setenv("FINETUNE_STUDIO_ENGINE", "/no/such/program")
    bench.start_keeper()
    with (
        Keeper.connect(bench.home, start=False) as keeper,
        pytest.raises(StudioError, match="can't be started"),
    ):
        keeper.start(run)
    assert not JobFolder(run).lock.exists()


def test_a_killed_merge_leaves_nothing_beside_its_target(
    bench: Bench, keeper: Keeper, tmp_path: Path
) -> None:
    job = commands.Merge(adapter="adapter", base="base", out=str(tmp_path / "merged"))
    folder = jobs.create(bench.home, job)
    (folder / "fake.txt").write_text("kill", "utf-8")
    half = tmp_path / ".partial-0123abcd4567-merged"
    half.mkdir()
    (half / "model.safetensors").touch()
    keeper.start(folder)
    Ear(keeper, folder).to_end()
    assert not half.exists()
