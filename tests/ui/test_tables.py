"""Series of points, the curves of a run, and the list of runs as an item model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, Qt
from pytestqt.modeltest import ModelTester

from studio.core import events as ev
from studio.core.run_state import RunState
from studio.library import runs
from studio.library.folders import Home
from studio.ui.tables import runs as table
from studio.ui.tables.run_series import RunSeries, smoothing
from studio.ui.tables.runs import RunLine, RunsModel, pill
from studio.ui.tables.series import Series, Smoothed, highest, outline, sampled
from tests.support import logs


def test_a_series_grows_and_keeps_what_it_has() -> None:
    series = Series()
    for start in range(0, 5000, 7):
        series.extend(list(range(start, start + 7)), [float(x) for x in range(start, start + 7)])
    assert len(series) == 5005
    assert np.array_equal(series.x, np.arange(5005.0))
    assert np.array_equal(series.y, np.arange(5005.0))


def test_what_nobody_knows_is_a_gap() -> None:
    series = Series()
    series.extend([1, 2, 3], [0.5, None, None])
    assert math.isnan(series.y[1])
    assert series.last() == 0.5
    assert Series().last() is None


def test_cut() -> None:
    series = Series()
    series.extend([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0])
    series.cut(2)
    series.extend([3], [9.0])
    assert series.y.tolist() == [1.0, 2.0, 9.0]


@pytest.mark.parametrize(("steps", "weight"), [(0, 0.9), (10, 0.0), (40, 0.5), (5000, 0.9)])
def test_a_short_run_is_smoothed_less(steps: int, weight: float) -> None:
    assert smoothing(steps) == pytest.approx(weight)
    smooth = Smoothed()
    smooth.set_weight(smoothing(steps))
    smooth.extend([1, 2], [4.0, 2.0])
    average = (4.0 * weight + 2.0) / (weight + 1)
    assert smooth.y[-1] == pytest.approx(average)
    smooth.set_weight(0.1)
    smooth.extend([3], [2.0])
    again = Smoothed(smoothing(steps))
    again.extend([1, 2, 3], [4.0, 2.0, 2.0])
    assert np.array_equal(smooth.y, again.y)


def test_smoothing_starts_at_the_first_value_and_survives_a_cut() -> None:
    smooth, again = Smoothed(), Smoothed()
    values = [5.0, 4.0, None, 3.0, 2.0, 1.0]
    smooth.extend(range(6), values)
    assert smooth.y[0] == 5.0
    assert 1.0 < smooth.y[-1] < 5.0
    again.extend(range(4), values[:4])
    again.extend([4, 5], [99.0, 99.0])
    again.cut(3)
    again.extend([4, 5], values[4:])
    assert np.array_equal(again.y, smooth.y)


points = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=3000)


@given(points, st.integers(1, 50))
def test_fewer_points_show_the_same_extent(values: list[float], buckets: int) -> None:
    x, y = np.arange(float(len(values))), np.array(values)
    xs, ys = outline(x, y, buckets)
    assert len(xs) == len(ys) <= max(len(x), 4 * buckets) + 1
    assert (np.diff(xs) >= 0).all()
    known = y[np.isfinite(y)]
    if len(known):
        assert np.nanmin(ys) == known.min()
        assert np.nanmax(ys) == known.max()
        assert np.nanmax(highest(x, y, buckets)[1]) == known.max()
    assert sampled(x, y, buckets)[0][-1] == x[-1]


def test_curves_of_a_run() -> None:
    series = RunSeries()
    found = logs.training(100, 200)
    series.take(found[:50])
    series.take(found[50:])
    assert series.train.x.tolist() == list(range(1, 101))
    assert len(series.evaluated) == 6
    assert not series.on_card
    assert series.memory.x[-1] == 200 / 60
    card = RunSeries()
    card.take(logs.training(3, 200, vram=True))
    assert card.on_card
    assert 10 < (card.memory.last() or 0) < 12


def test_a_resumed_run_goes_on_from_its_checkpoint() -> None:
    series, whole = RunSeries(), RunSeries()
    first = logs.training(80, 200, began=1000.0)
    series.take(first)
    everything = logs.training(200, 200, began=1000.0)
    redone = [e for e in everything if isinstance(e, ev.Step | ev.Evaluated) and e.step > 50]
    series.take([ev.Started(pid=2, total_steps=200, resumed_from=50), *redone])
    whole.take(everything)
    for name in ("train", "smooth", "evaluated", "rate", "norm", "memory"):
        ours, theirs = getattr(series, name), getattr(whole, name)
        assert ours.x.tolist() == theirs.x.tolist(), name
        assert ours.y.tolist() == theirs.y.tolist(), name


def test_a_job_that_is_no_run_is_named_by_what_it_does() -> None:
    state = RunState(kind="import", state="running")
    row = runs.RunRow(path=Path("/x"), name="import-0e6b", kind="import", state=state, living=True)
    model = RunsModel()
    model.set_lines([table._line(row)])
    assert model.index(0, 0).data() == "Importing a model"


def test_the_model_of_runs(home: Home, qtmodeltester: ModelTester) -> None:
    logs.write(home, "alpha", logs.training(30, 60))
    logs.write(home, "beta", logs.training(60, 60), [ev.Finished(time=1.0, result={})])
    logs.write(home, "gamma")
    model = RunsModel()
    qtmodeltester.check(model)
    lines = table.load(home)
    model.set_lines(lines)
    qtmodeltester.check(model)
    cells = {
        str(model.index(row, 0).data()): [
            str(model.index(row, column).data()) for column in range(model.columnCount())
        ]
        for row in range(model.rowCount())
    }
    assert set(cells) == {"alpha", "beta", "gamma"}
    assert cells["beta"][1:4] == ["Finished", "SmolLM2-135M-Instruct  ·  LoRA r16", "60 of 60"]
    assert cells["gamma"][3:6] == [table.NONE] * 3
    assert model.headerData(0, Qt.Orientation.Horizontal) == "Name"
    assert not model.data(QModelIndex())


def test_rows_change_in_place(home: Home) -> None:
    folder = logs.write(home, "alpha", logs.training(30, 60))
    model, resets, changes = RunsModel(), [], []
    model.set_lines(table.load(home))
    model.modelReset.connect(lambda: resets.append(1))
    model.dataChanged.connect(lambda *_: changes.append(1))
    model.set_lines(table.load(home))
    assert (len(resets), len(changes)) == (0, 1)
    logs.write(home, "beta")
    model.set_lines(table.load(home))
    assert len(resets) == 1
    assert model.row_of(folder) == 1
    assert model.row_of(home.runs / "nothing") == -1


def test_what_a_state_is_called() -> None:
    training = RunState(state="running", kind="train", stage="Training")
    assert pill(training, "running") == ("Training", "ok")
    assert pill(training, "ending") == ("Ending", "warn")
    assert pill(RunState(), "starting") == ("Starting", "ok")
    assert pill(RunState(state="paused"), "starting") == ("Starting", "ok")
    assert pill(RunState(state="finished"), "ending") == ("Finished", "soft")
    assert pill(RunState()) == ("Not started", "plain")
    assert pill(RunState(state="crashed")) == ("Crashed", "err")


def test_a_run_without_a_readable_recipe_is_listed(home: Home) -> None:
    folder = logs.write(home, "alpha")
    (folder / "recipe.yaml").write_text("a: [", "utf-8")
    (line,) = table.load(home)
    assert isinstance(line, RunLine)
    assert line.about == "Recipe can't be read"
