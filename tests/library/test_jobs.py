"""The folder through which keeper and engine speak."""

from __future__ import annotations

from pathlib import Path

from studio.core import commands, events
from studio.library import jobs
from studio.library.folders import Home, JobFolder
from studio.library.locks import Lock


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    job = commands.Merge(adapter="a", base="b", out="c")
    folder = jobs.create(home, job)
    assert folder.parent == home.jobs
    assert jobs.job_of(folder) == job
    assert jobs.state(folder).kind == "merge"
    jobs.append(folder, events.Stage(text="Merging"))
    seen, offset = jobs.read_events(folder)
    assert [type(event) for event in seen] == [events.Created, events.Stage]
    assert all(event.time > 0 for event in seen)
    jobs.append(folder, events.Cancelled())
    assert [type(event) for event in jobs.read_events(folder, offset)[0]] == [events.Cancelled]


def test_commands_arrive_in_order(tmp_path: Path) -> None:
    folder = jobs.create(Home(tmp_path).make(), commands.Chat(model="m"))
    jobs.tell(folder, commands.Say(request="1", messages=({"role": "user", "content": "Hi"},)))
    first, offset = jobs.read_commands(folder)
    jobs.tell(folder, commands.Leave())
    assert isinstance(first[0], commands.Say)
    assert jobs.read_commands(folder, offset)[0] == [commands.Leave()]


def test_a_job_lives_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    folder = jobs.create(Home(tmp_path).make(), commands.Train())
    assert not jobs.living(folder)
    lock = Lock(JobFolder(folder).lock)
    assert lock.acquire()
    assert jobs.living(folder)
    lock.release()
    assert not jobs.living(folder)


def test_taking_a_run_up_again_keeps_its_log(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    folder = jobs.create(home, commands.Train(), home.runs / "one")
    jobs.append(folder, events.Paused(checkpoint="c", step=3))
    jobs.create(home, commands.Train(resume=True), folder)
    assert jobs.state(folder).state == "paused"
    assert jobs.job_of(folder) == commands.Train(resume=True)
