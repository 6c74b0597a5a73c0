"""Which rows each step learns from."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from studio.core.errors import StudioError
from studio.core.recipe import TrainingPart
from studio.engine.data import Rows, Steps
from tests.engine.making import write_rows


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    made = [{"input_ids": [1] * n, "labels": [-100] * (n - 1) + [n]} for n in (3, 1, 7)]
    write_rows(tmp_path / "train.arrow", made)
    return Rows.open(tmp_path / "train.arrow")


def test_rows_come_back_as_they_were_written(rows: Rows) -> None:
    assert len(rows) == 3
    assert rows.lengths.tolist() == [3, 1, 7]
    assert rows.longest == 7
    assert rows[2].input_ids.tolist() == [1] * 7
    assert rows[0].labels.tolist() == [-100, -100, 3]


def test_no_file_is_no_rows_and_rubbish_is_a_sentence(tmp_path: Path) -> None:
    assert len(Rows.open(tmp_path / "eval.arrow")) == 0
    (tmp_path / "train.arrow").write_bytes(b"no arrow at all")
    with pytest.raises(StudioError, match="can't be read"):
        Rows.open(tmp_path / "train.arrow")


def test_every_epoch_takes_every_row_once_in_another_order() -> None:
    steps = Steps.plan(10, TrainingPart(batch_size=4, epochs=2))
    assert (steps.per_epoch, steps.total) == (3, 6)
    first = [steps.of(step) for step in range(3)]
    second = [steps.of(step) for step in range(3, 6)]
    assert [len(rows) for rows in first] == [4, 4, 2]
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(10))
    assert first != second
    assert steps.epoch(6) == 2.0


def test_the_rows_of_a_step_depend_on_nothing_but_its_number() -> None:
    training = TrainingPart(batch_size=4, epochs=3, seed=7)
    np.random.seed(0)
    fresh = Steps.plan(10, training)
    forwards = [fresh.of(step) for step in range(fresh.total)]
    np.random.seed(99)
    again = Steps.plan(10, training)
    assert [again.of(step) for step in reversed(range(again.total))] == forwards[::-1]
    other = Steps.plan(10, TrainingPart(batch_size=4, epochs=3, seed=8))
    assert other.of(0) != forwards[0]


def test_steps_can_be_counted_instead_of_epochs() -> None:
    assert Steps.plan(10, TrainingPart(batch_size=4, epochs=2, max_steps=5)).total == 5
    assert Steps.plan(10, TrainingPart(batch_size=4, epochs=0.5)).total == 2
    with pytest.raises(StudioError, match="no rows"):
        Steps.plan(0, TrainingPart())
