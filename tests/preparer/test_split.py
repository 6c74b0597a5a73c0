"""The split: by the seed and the content of rows, whatever their order, and no group on both
sides."""

from __future__ import annotations

import json
import random
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import StudioError
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe
from studio.preparer.grouping import Places, joined
from studio.preparer.prepare import prepare
from studio.preparer.report import inspect
from studio.preparer.split import Split
from tests.preparer.test_prepare import rows as written

Row = tuple[int, int, int, bool]
"""Content, group by a column, near-duplicates and whether it is set aside."""
made_rows = st.lists(
    st.tuples(
        st.integers(0, 30), st.integers(0, 12), st.integers(0, 40), st.sampled_from([False] * 9)
    ),
    min_size=1,
    max_size=120,
)


def digests(rows: list[Row]) -> np.ndarray:
    made = b"".join(blake2b(bytes([row[0]]), digest_size=16).digest() for row in rows)
    return np.frombuffer(made, "<u8").reshape(-1, 2)


def groups(rows: list[Row]) -> tuple[Places, Places]:
    def first(column: int) -> Places:
        seen: dict[int, int] = {}
        return np.array([seen.setdefault(int(row[column]), i) for i, row in enumerate(rows)])

    exact = joined(first(0), first(1))
    return joined(exact, first(2)), exact


def split(rows: list[Row], share: float, seed: int) -> Split:
    aside = np.array([row[3] for row in rows])
    return Split(digests(rows), *groups(rows), aside, share, seed)


@given(rows=made_rows, share=st.floats(0, 0.9), seed=st.integers(0, 5))
def test_no_twin_and_no_group_is_on_both_sides(rows: list[Row], share: float, seed: int) -> None:
    held = split(rows, share, seed).held_out
    for column in range(3):
        assert not {row[column] for row, out in zip(rows, held, strict=True) if out} & {
            row[column] for row, out in zip(rows, held, strict=True) if not out
        }
    assert not held.all()
    if not share:
        assert not held.any()


@given(rows=made_rows, share=st.floats(0.05, 0.5), seed=st.integers(0, 5), order=st.randoms())
def test_the_order_of_rows_decides_nothing(
    rows: list[Row], share: float, seed: int, order: random.Random
) -> None:
    places = list(range(len(rows)))
    order.shuffle(places)
    held = split(rows, share, seed).held_out
    again = split([rows[place] for place in places], share, seed).held_out
    assert [bool(held[place]) for place in places] == again.tolist()


@given(seed=st.integers(0, 20), share=st.floats(0.05, 0.5), count=st.integers(20, 200))
def test_single_rows_give_the_share_that_was_asked_for(seed: int, share: float, count: int) -> None:
    rows = [(i % 256, i, i, False) for i in range(count)]
    made = split(rows, share, seed)
    assert made.held_out.sum() == max(1, round(count * share))
    assert made.enough


def test_one_group_of_all_holds_nothing_out_and_says_so() -> None:
    made = split([(i, 0, i, False) for i in range(50)], 0.2, 1)
    assert (int(made.held_out.sum()), made.enough) == (0, False)
    halves = split([(i, i % 2, i % 2, False) for i in range(50)], 0.2, 1)
    assert (int(halves.held_out.sum()), halves.enough) == (25, True)


def test_twins_of_rows_set_aside_are_held_out_with_them() -> None:
    rows = [(i, i, i, False) for i in range(20)] + [(30, 30, 7, True), (3, 31, 31, True)]
    assert np.flatnonzero(split(rows, 0.1, 1).held_out).tolist() == [3, 7, 20, 21]
    flooded = [(i, i, 0, False) for i in range(20)] + [(30, 30, 0, True), (3, 31, 31, True)]
    assert np.flatnonzero(split(flooded, 0.1, 1).held_out).tolist() == [3, 20, 21]


def write(path: Path, rows: list[dict[str, str]]) -> DatasetPart:
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return DatasetPart(path=str(path))


def recipe(part: DatasetPart, **data: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="x"),
        dataset=(part,),
        data=DataPart(**data),
    )


def test_near_duplicates_and_authors_stay_together(tmp_path: Path, tiny_model: Path) -> None:
    draw = random.Random(2)
    words = [f"w{i}" for i in range(900)]
    made = []
    for place in range(60):
        text = " ".join(draw.sample(words, 30))
        author = f"author {place % 15}"
        made.append({"prompt": f"p{place}", "completion": text, "author": author})
        made.append({"prompt": f"P{place}!", "completion": text.upper(), "author": f"x{place}"})
    part = write(tmp_path / "a.jsonl", made)
    run = tmp_path / "run"
    prepared = prepare(run, recipe(part, eval_share=0.25, max_length=4096), tiny_model)
    assert prepared.eval_rows == 30
    report = inspect((part,), tiny_model, DataPart(eval_share=0.25, max_length=4096))
    assert (report.kept_rows, report.eval_rows) == (120, 30)
    (near,) = report.findings
    assert (near.key, near.count) == ("near-duplicate", 60)

    by_author = DataPart(eval_share=0.25, max_length=4096, group_by="author")
    grouped = prepare(tmp_path / "two", recipe(part, **as_dict(by_author)), tiny_model)
    # an author with four rows, and the twin of each of these
    assert grouped.eval_rows == 24
    assert inspect((part,), tiny_model, by_author).eval_rows == 24
    assert prepare(tmp_path / "three", recipe(part, **as_dict(by_author)), tiny_model) == grouped
    assert written(tmp_path / "two", "eval") == written(tmp_path / "three", "eval")


def as_dict(data: DataPart) -> dict[str, Any]:
    return {name: getattr(data, name) for name in data.__struct_fields__}


def test_a_column_that_is_not_there_is_named(tmp_path: Path, tiny_model: Path) -> None:
    part = write(tmp_path / "a.jsonl", [{"prompt": "a", "completion": "b"}] * 3)
    with pytest.raises(StudioError, match="column “author”"):
        prepare(tmp_path / "run", recipe(part, group_by="author"), tiny_model)
    report = inspect((part,), None, DataPart(group_by="author"))
    (problem,) = report.problems
    assert (problem.field, problem.severity) == ("data.group_by", "error")
