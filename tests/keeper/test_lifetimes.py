"""Who outlives whom: client, keeper, engine."""

from __future__ import annotations

import json
import os
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Client
from pathlib import Path

import psutil
import pytest

from studio.client.keeper import Keeper, KeeperLost
from studio.core import commands, events
from studio.core.run_state import replay
from studio.core.wire import Heard
from studio.library import jobs, locks, rendezvous, runs
from studio.library.folders import JobFolder
from tests.support.keeping import ROOT, Bench, Ear, gone, wait

posix = pytest.mark.skipif(sys.platform == "win32", reason="sockets and their rights are POSIX's")

CLIENT = """
import sys, time
from pathlib import Path
from studio.client.keeper import Keeper
from studio.library.folders import Home
with Keeper.connect(Home(Path(sys.argv[1])), start=False) as keeper:
    for folder in sys.argv[2:]:
        keeper.start(Path(folder))
    time.sleep(600)
"""


def test_the_engine_outlives_the_keeper_and_is_adopted(bench: Bench, run: Path) -> None:
    first = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
        ear = Ear(keeper, run)
        step = ear.until(events.Step)
        first.kill()
        with pytest.raises(KeeperLost):
            ear.to_end()
    wait(lambda: gone(first.pid))
    assert jobs.living(run)
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        assert [(row.name, row.state) for row in keeper.jobs()] == [(run.name, "running")]
        ear = Ear(keeper, run)
        ear.hear(lambda event: isinstance(event, events.Step) and event.step > step.step)  # type: ignore[attr-defined]
        keeper.tell(run, commands.Stop())
        found = ear.to_end()
    assert replay(found).state == "stopped"
    assert isinstance(found[-1], events.Ended)
    assert found[-1].title == ""


def test_an_adopted_engine_is_cancelled_with_its_workers(bench: Bench) -> None:
    folder = bench.run("child,escaped_child,ignore_terminate,hang")
    first = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(folder)
        ear = Ear(keeper, folder)
        ear.hear(lambda event: len(ear.events) > 3 or isinstance(event, events.Note))
        wait(lambda: len(jobs.read_events(folder)[0]) == 4)
    first.kill()
    wait(lambda: gone(first.pid))
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.tell(folder, commands.Cancel())
        found = Ear(keeper, folder).to_end()
    assert replay(found).state == "cancelled"
    children = [int(e.text.split()[1]) for e in found if isinstance(e, events.Note)]
    assert len(children) == 2
    assert all(gone(pid) for pid in children)


def test_what_died_unseen_gets_its_end(bench: Bench, run: Path) -> None:
    first = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
        started = Ear(keeper, run).until(events.Started)
    first.kill()
    wait(lambda: gone(first.pid))
    assert isinstance(started, events.Started)
    psutil.Process(started.pid).kill()
    wait(lambda: not jobs.living(run))
    assert runs.state_of(run).state == "running"
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        assert keeper.jobs() == []
    state = runs.state_of(run)
    assert state.state == "crashed"
    assert state.text


def test_a_new_run_is_not_ended(bench: Bench, run: Path) -> None:
    bench.start_keeper()
    assert runs.state_of(run).state == "created"


def test_old_job_folders_are_deleted_and_runs_never(bench: Bench, run: Path) -> None:
    old, recent = bench.chat(), bench.chat()
    long_ago = time.time() - 8 * 24 * 3600
    for path in (*old.iterdir(), old, *run.iterdir(), run):
        os.utime(path, (long_ago, long_ago))
    bench.start_keeper()
    assert not old.exists()
    assert recent.is_dir()
    assert run.is_dir()


def test_client_killed_training_goes_on_and_chat_dies(bench: Bench, run: Path) -> None:
    chat = bench.chat("step:1,child")
    bench.start_keeper()
    client = bench.spawn("-c", CLIENT, str(bench.home.root), str(run), str(chat))
    with Keeper.connect(bench.home, start=False) as keeper:
        wait(lambda: jobs.living(run) and jobs.living(chat))
        ear = Ear(keeper, chat)
        child = ear.until(events.Note)
        client.kill()
        client.wait()
        ear.to_end()
        assert isinstance(child, events.Note)
        assert gone(int(child.text.split()[1]))
        Ear(keeper, run).until(events.Step)
        assert [row.name for row in keeper.jobs()] == [run.name]


def test_a_chat_that_does_not_hear_its_input_end_is_killed(bench: Bench) -> None:
    chat = bench.chat("ignore_terminate,hang")
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as watcher:
        with Keeper.connect(bench.home, start=False) as owner:
            owner.start(chat)
            wait(lambda: jobs.living(chat))
        found = Ear(watcher, chat).to_end()
    assert replay(found).state == "cancelled"


def test_keeper_killed_chat_dies(bench: Bench) -> None:
    chat = bench.chat()
    first = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(chat)
        Ear(keeper, chat).until(events.Step)
        first.kill()
        wait(lambda: not jobs.living(chat))
    bench.start_keeper()
    assert jobs.state(chat).state == "cancelled"


def test_one_keeper_a_home(bench: Bench) -> None:
    first = bench.start_keeper()
    second = bench.spawn("-m", "studio", "keeper", "--home", str(bench.home.root))
    assert second.wait(20) == 0
    assert locks.holder(rendezvous.lock_file(bench.home)) == first.pid
    with Keeper.connect(bench.home, start=False) as keeper:
        assert keeper.welcome.pid == first.pid


def test_it_leaves_when_nothing_is_left(bench: Bench) -> None:
    folder = bench.run("step:1,gate:open,finish")
    process = bench.start_keeper(idle=0.3)
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(folder)
    wait(lambda: jobs.living(folder))
    door = rendezvous.read_door(bench.home)
    assert door is not None
    (folder / "open").touch()
    wait(lambda: gone(process.pid))
    assert jobs.state(folder).state == "finished"
    assert rendezvous.read_door(bench.home) is None
    assert not Path(door.address).parent.exists()


def test_what_a_killed_keeper_left_is_cleared(bench: Bench) -> None:
    process = bench.start_keeper()
    door = rendezvous.read_door(bench.home)
    assert door is not None
    process.kill()
    wait(lambda: gone(process.pid))
    bench.start_keeper()
    assert not Path(door.address).parent.exists()


@posix
def test_only_the_owner_may_read_the_door(bench: Bench) -> None:
    bench.start_keeper()
    door = rendezvous.read_door(bench.home)
    assert door is not None
    assert stat.S_IMODE(rendezvous.door_file(bench.home).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(door.address).parent.stat().st_mode) == 0o700
    assert len(door.address.encode()) < 100


def test_the_wrong_key_and_silence_are_refused_and_hold_nobody_up(bench: Bench) -> None:
    bench.start_keeper()
    door = rendezvous.read_door(bench.home)
    assert door is not None
    with Client(door.address) as silent, Client(door.address) as thief:
        assert not rendezvous.prove(thief, b"wrong", keeper=False, seconds=5)
        with Keeper.connect(bench.home, start=False) as keeper:
            assert keeper.jobs() == []
        assert silent.poll(0.0)  # its challenge, and no more


def test_rubbish_is_dropped(bench: Bench) -> None:
    bench.start_keeper()
    door = rendezvous.read_door(bench.home)
    assert door is not None
    with Client(door.address) as client:
        assert rendezvous.prove(client, door.key, keeper=False, seconds=5)
        client.send_bytes(b'{"ask": "the moon"}')
        with pytest.raises(EOFError):
            client.recv_bytes()
    with Keeper.connect(bench.home, start=False) as keeper:
        assert keeper.jobs() == []


def _hung_up(client: Keeper) -> bool:
    poll = select.poll()
    poll.register(client.connection.fileno(), select.POLLHUP)
    return bool(poll.poll(0))


def _until_lost(client: Keeper) -> Iterator[Heard]:
    while True:
        try:
            yield from (push for push in client.receive(5.0) if isinstance(push, Heard))
        except KeeperLost:
            return


@posix
def test_a_client_that_does_not_read_holds_nobody_up(bench: Bench) -> None:
    """It is dropped, and may watch on from where it was."""
    folder = bench.run("flood:20000,step:1")
    bench.start_keeper(patience=0.02)
    with (
        Keeper.connect(bench.home, start=False) as slow,
        Keeper.connect(bench.home, start=False) as quick,
    ):
        quick.start(folder)
        slow.watch(folder)
        ear = Ear(quick, folder)
        ear.until(events.Step)
        wait(lambda: _hung_up(slow))
        heard = list(_until_lost(slow))
        quick.tell(folder, commands.Stop())
        ear.to_end()
    offset = max(push.offset for push in heard)
    count = sum(len(push.events) for push in heard)
    assert 0 < count < 20_000
    with Keeper.connect(bench.home, start=False) as again:
        rest = Ear(again, folder, offset).to_end()
    assert count + len(rest) == len(ear.events)


def test_the_keeper_is_light(tmp_path: Path) -> None:
    code = (
        "import sys, json, studio.keeper.__main__ as k\n"
        "print(json.dumps([m for m in sys.modules if m.split('.')[0] in "
        "('torch', 'PySide6', 'numpy', 'transformers', 'tokenizers', 'pyarrow')]))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert json.loads(printed) == []


def test_out_of_disk_at_the_end_is_written_later(bench: Bench) -> None:
    """The log can't be written when the engine dies: whoever waits is told so, and the end is
    added once it can be."""
    folder = bench.run("step:1,gate:open,kill")
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(folder)
        ear = Ear(keeper, folder)
        ear.until(events.Step)
        log = JobFolder(folder).events
        away = log.with_name("away")
        log.rename(away)
        log.mkdir()
        (folder / "open").touch()
        wait(lambda: not jobs.living(folder))
        assert [row.name for row in keeper.jobs()] == [folder.name]
        told = ear.to_end()[-1]
        assert isinstance(told, events.Ended)
        assert "log can't be written" in told.text
        log.rmdir()
        away.rename(log)
        wait(lambda: runs.state_of(folder).state == "crashed")
        wait(lambda: keeper.jobs() == [])
        assert "by force" in runs.state_of(folder).text
