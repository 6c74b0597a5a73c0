"""Measuring: real steps of the heaviest batch, and nothing kept."""

from __future__ import annotations

from pathlib import Path

from studio.core import events as ev
from studio.core.commands import Cancel, Measure
from studio.engine import measure, memory, setup
from studio.engine.control import Control
from studio.library import jobs
from studio.library.folders import Home, JobFolder
from tests.engine.making import context_of, recipe, run_folder, said


def test_the_longest_rows_are_measured_and_nothing_is_kept(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, batch_size=4))
    context = context_of(home, folder, Measure(steps=2))
    measure.run(context)
    result = said(folder, ev.Finished)[0].result
    ready = setup.make(context, Control(context.channel))
    longest = sorted(ready.train_rows.lengths.tolist(), reverse=True)[:4]
    assert result["tokens"] == sum(longest)
    assert result["peak_bytes"] > 100 << 20
    assert result["seconds"] > 0
    assert not list(home.adapters.iterdir())
    assert not JobFolder(folder).checkpoints.exists()


def test_measuring_can_be_cancelled(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model))
    context = context_of(home, folder, Measure())
    jobs.tell(folder, Cancel())
    measure.run(context)
    assert isinstance(jobs.read_events(folder)[0][-1], ev.Cancelled)


def test_memory_is_told_in_bytes(home: Home) -> None:
    now = memory.held()["memory_bytes"]
    assert now is not None
    assert 0 < now <= memory.peak() * 1.05
    machine = memory.machine(home)
    assert 0 < machine.ram_free_bytes < machine.ram_total_bytes
