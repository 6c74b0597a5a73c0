"""The keeper notices a step that never comes, and says so once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.core import events as ev
from studio.core.stall import LEAST_SECONDS
from studio.keeper.engine import Engine, adopt
from studio.library import jobs
from studio.library.folders import JobFolder
from studio.library.locks import Lock
from tests.support.keeping import Bench


@pytest.fixture
def folder(bench: Bench) -> Iterator[Path]:
    """A run whose engine (this process holds its lock) has taken a few steps."""
    run = bench.run("")
    lock = Lock(JobFolder(run).lock)
    assert lock.acquire()
    jobs.append(run, ev.Started(pid=1, total_steps=100))
    for number in range(1, 6):
        step(run, number)
    yield run
    lock.release()


def step(run: Path, number: int) -> None:
    jobs.append(run, ev.Step(step=number, metrics={}, tokens=1, seconds=2.0 * number))


def notes(run: Path) -> list[str]:
    return [event.text for event in jobs.read_events(run)[0] if isinstance(event, ev.Note)]


def wait(engine: Engine, begin: float, seconds: float) -> float:
    """Let this many seconds of the clock given to the engine pass; the time then."""
    for second in range(int(seconds)):
        assert not engine.tick(begin + second)
    return begin + seconds


def test_a_stalled_step_is_said_once_and_shown_in_the_row(folder: Path) -> None:
    engine = adopt(folder, 1.0)
    began = time.monotonic()
    now = wait(engine, began, LEAST_SECONDS - 1)
    assert notes(folder) == []
    assert engine.row("").stage == "Training"
    now = wait(engine, now, 300)
    (text,) = notes(folder)
    assert text.startswith("No step for 3 min, though one usually takes 2 s")
    assert engine.row("").stage.startswith("No step for")
    assert engine.row("").eta_seconds is None
    step(folder, 6)
    wait(engine, now, 5)
    assert engine.row("").stage == "Training"
    assert len(notes(folder)) == 1


def test_an_evaluation_may_take_long(folder: Path) -> None:
    engine = adopt(folder, 1.0)
    jobs.append(folder, ev.Stage(text="Evaluating"))
    wait(engine, time.monotonic(), 4 * LEAST_SECONDS)
    assert notes(folder) == []
    assert engine.row("").stage == "Evaluating"
