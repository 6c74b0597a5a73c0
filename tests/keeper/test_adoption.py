"""No engine works that nothing lists: not while it loads, not when its keeper is gone."""

from __future__ import annotations

import shlex
import sys

import psutil
import pytest

from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.keeper import sweep
from studio.library import jobs, runs
from studio.library.folders import JobFolder
from tests.support.keeping import ROOT, Bench, Ear, gone, wait

LOADING = """
import os, sys, time
from pathlib import Path
while not Path(sys.argv[-1], "loaded").exists():
    time.sleep(0.01)
os.execv(sys.executable, [sys.executable, sys.argv[1], *sys.argv[2:]])
"""
HOLDER = """
import sys, time
from pathlib import Path
from studio.library.locks import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.acquire()
time.sleep(600)
"""


@pytest.fixture
def slow_to_load(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines take their lock only when a file “loaded” lies in their folder."""
    fake = ROOT / "tests" / "fakes" / "engine.py"
    words = [sys.executable, "-c", LOADING, str(fake)]
    monkeypatch.setenv("FINETUNE_STUDIO_ENGINE", shlex.join(words))


@pytest.mark.usefixtures("slow_to_load")
def test_an_engine_that_is_just_loading_is_found_by_the_next_keeper(bench: Bench) -> None:
    run = bench.run("step:1,gate:open,finish")
    first = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
    first.kill()
    first.wait()
    assert not jobs.living(run)
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        assert [(row.name, row.state) for row in keeper.jobs()] == [(run.name, "starting")]
        (run / "loaded").touch()
        Ear(keeper, run).until(events.Step)
        (run / "open").touch()
        found = Ear(keeper, run).to_end()
    assert runs.state_of(run).state == "finished"
    assert sum(isinstance(event, events.Started) for event in found) == 1


@pytest.mark.usefixtures("slow_to_load")
def test_an_order_to_an_engine_that_is_just_loading_reaches_it(bench: Bench) -> None:
    run = bench.run("")
    first = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
    first.kill()
    first.wait()
    bench.start_keeper(patience=1.0)
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.tell(run, commands.Pause())
        (run / "loaded").touch()
        Ear(keeper, run).to_end()
    assert runs.state_of(run).state == "paused"


@pytest.mark.usefixtures("slow_to_load")
def test_one_that_finds_its_folder_taken_leaves_the_other_in_peace(bench: Bench) -> None:
    run = bench.run("")
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
        wait(lambda: sweep.engine_among(sweep.marked().get(str(run), []), run))
        (loading,) = sweep.marked()[str(run)]
        other = bench.spawn("-c", HOLDER, str(JobFolder(run).lock))
        wait(lambda: jobs.living(run))
        (run / "loaded").touch()
        wait(lambda: gone(loading.pid))
        assert [row.name for row in keeper.jobs()] == [run.name]
        assert other.poll() is None
        assert runs.state_of(run).state == "created"
        other.kill()
        other.wait()
        wait(lambda: keeper.jobs() == [])


def test_what_a_dead_engine_left_running_is_swept_by_the_next_keeper(bench: Bench) -> None:
    run = bench.run("child,escaped_child,step:1,gate:open")
    first = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
        ear = Ear(keeper, run)
        ear.until(events.Step)
    first.kill()
    first.wait()
    psutil.Process(int(JobFolder(run).lock.read_text())).kill()
    left = sweep.marked()[str(run)]
    bench.start_keeper()
    assert all(gone(process.pid) for process in left)
    assert len(left) >= 2
    state = runs.state_of(run)
    assert (state.state, bool(state.text)) == ("crashed", True)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")
def test_a_worker_forked_from_an_engine_is_not_taken_for_it(bench: Bench) -> None:
    run = bench.run("")
    words = ["-c", "import time; time.sleep(600)", "--folder", str(run)]
    process = psutil.Process(bench.spawn(*words).pid)
    wait(lambda: process.cmdline()[-1:] == [str(run)])
    assert sweep.engine_among([process], run) is None
