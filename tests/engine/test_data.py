"""Which rows each step learns from."""

from __future__ import annotations

import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest

from studio.core.errors import StudioError
from studio.core.recipe import TrainingPart
from studio.engine.data import Rows, Steps
from tests.engine.making import write_rows

COLUMNS = ("input_ids", "labels")


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


SCRIPT = """
import sys, psutil, random
from pathlib import Path
from studio.engine.data import Rows, Steps
own = psutil.Process()
def private():
    info = own.memory_info()
    return info.rss - getattr(info, "shared", 0)
before = private()
rows = Rows.open(Path(sys.argv[1]))
assert rows.longest == 2000
total = sum(int(rows[i].labels[-1]) for i in random.Random(1).sample(range(len(rows)), 500))
print(len(rows), private() - before)
"""


def test_rows_are_read_from_the_file_as_they_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    ids = pa.array([list(range(2000))] * 100, pa.list_(pa.int32()))
    batch = pa.record_batch([ids, ids], names=["input_ids", "labels"])
    with pa.ipc.new_file(str(path), batch.schema) as file:
        for _ in range(60):
            file.write_batch(batch)
    size = path.stat().st_size
    assert size > 90 << 20
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True
    )
    count, grown = map(int, done.stdout.split())
    assert count == 6000
    assert grown < size // 2


def test_rows_of_several_batches_and_of_slices(tmp_path: Path) -> None:
    lists = [[row] * (row % 5 + 1) for row in range(57)]
    whole = pa.table({name: pa.array(lists, pa.list_(pa.int32())) for name in COLUMNS})
    rows = Rows(pa.concat_tables([whole.slice(0, 10), whole.slice(10, 0), whole.slice(10, 47)]))
    assert [rows[index].input_ids.tolist() for index in range(57)] == lists
    assert rows.lengths.tolist() == [len(one) for one in lists]
    with pytest.raises(IndexError):
        rows[57]
