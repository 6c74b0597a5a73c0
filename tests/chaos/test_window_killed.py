"""A window killed again and again while a run goes on: nobody but the window notices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.library import jobs, locks, rendezvous
from studio.library.folders import JobFolder
from tests.support.keeping import ROOT, Bench, gone, wait

TIMES = 20
pytestmark = [pytest.mark.gui, pytest.mark.timeout(300)]


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """Where a window that is open writes which steps of the run it has plotted."""
    return tmp_path / "shown.json"


def open_window(bench: Bench, run: Path, shown: Path) -> subprocess.Popen[bytes]:
    shown.unlink(missing_ok=True)
    words = ["-m", "tests.chaos.window", str(bench.home.root), str(run), str(shown)]
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    return subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment)


def steps_of(run: Path) -> list[int]:
    return [e.step for e in jobs.read_events(run)[0] if isinstance(e, events.Step)]


def read(shown: Path) -> list[int]:
    try:
        return [int(step) for step in json.loads(shown.read_bytes())]
    except (OSError, ValueError):
        return []


def test_the_window_is_killed_and_opened_again(bench: Bench, run: Path, shown: Path) -> None:
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
        wait(lambda: steps_of(run))
        engine = locks.holder(JobFolder(run).lock)
        for number in range(TIMES):
            before = steps_of(run)[-1]
            window = open_window(bench, run, shown)
            try:
                wait(lambda before=before: read(shown)[-1:] > [before])  # type: ignore[misc]
            finally:
                window.kill()
                window.wait()
            seen = read(shown)
            assert seen == list(range(1, seen[-1] + 1)), f"window {number} shows {seen[:9]}…"
        assert locks.holder(JobFolder(run).lock) == engine
        keeper.tell(run, commands.Stop())
        wait(lambda: not jobs.living(run))
    steps = steps_of(run)
    assert steps == list(range(1, steps[-1] + 1))
    log = jobs.read_events(run)[0]
    assert sum(isinstance(event, events.Started) for event in log) == 1


def test_keeper_and_command_line_are_killed(bench: Bench, run: Path) -> None:
    """Both again and again; each next one finds the run at work and says all of its log."""
    keeper = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as client:
        client.start(run)
    wait(lambda: steps_of(run))
    engine = locks.holder(JobFolder(run).lock)
    for _ in range(3):
        keeper.kill()
        wait(lambda dead=keeper: gone(dead.pid))  # type: ignore[misc]
        keeper = bench.start_keeper()
        words = [sys.executable, "-m", "studio", "resume", run.name, "--json"]
        words += ["--home", str(bench.home.root)]
        wanted = steps_of(run)[-1]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            said = []
            for line in follower.stdout:
                event = json.loads(line)
                if event.get("event") == "step":
                    said.append(event["step"])
                if said[-1:] > [wanted]:
                    break
            follower.kill()
        assert said == list(range(1, said[-1] + 1))
    assert locks.holder(JobFolder(run).lock) == engine
    assert psutil.Process(locks.holder(rendezvous.lock_file(bench.home))).pid == keeper.pid
    with Keeper.connect(bench.home, start=False) as client:
        client.tell(run, commands.Cancel())
    wait(lambda: not jobs.living(run))
    steps = steps_of(run)
    assert steps == list(range(1, steps[-1] + 1))
