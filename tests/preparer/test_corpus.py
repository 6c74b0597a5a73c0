"""Every file of the corpus gets its verdict: kind, shape, usable rows, problems by line."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import dataset
from studio.preparer.messages import Sample
from studio.preparer.progress import silent
from studio.preparer.report import inspect
from tests.preparer import corpus_damage, corpus_files, corpus_shapes
from tests.preparer.corpus import Case

CASES = [*corpus_shapes.CASES, *corpus_files.CASES, *corpus_damage.CASES]


def test_the_corpus_is_large_and_names_each_case_once() -> None:
    assert len(CASES) >= 120
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict(case: Case, tmp_path: Path) -> None:
    part = DatasetPart(path=str(case.write(tmp_path)), **case.part)
    if case.title:
        with pytest.raises(StudioError) as caught:
            inspect((part,), None, DataPart())
        assert caught.value.title == case.title
        assert case.said in caught.value.text + caught.value.fix
        assert caught.value.fix
        return
    report = inspect((part,), None, DataPart())
    said = [f"{problem.text} {problem.fix}" for problem in report.problems]
    assert report.format == case.shape, said
    assert report.rows == case.rows
    named = [p.row for p in report.problems if p.row is not None]
    assert tuple(named) == case.bad, said
    usable = case.rows - len(case.bad) if case.usable is None else case.usable
    assert report.usable_rows == usable, said
    assert case.kind in ("", report.kind)
    assert case.encoding in ("", report.encoding)
    assert any(case.said in text for text in said) or not case.said, said
    if usable:
        assert report.reason
        assert report.learnt
        assert sum(one.evaluation_rows for one in report.parts) == case.evaluation
        assert first_of(part) == case.first


def first_of(part: DatasetPart) -> Any:
    """(question, answer), text or token ids of the first usable row."""
    rows = dataset.rows(dataset.open_all([part]), silent)
    (row,) = itertools.islice((row for row in rows if isinstance(row.content, Sample)), 1)
    found = row.content
    assert isinstance(found, Sample)
    if not found.messages:
        return found.ids or found.text
    asked = [message["content"] for message in found.messages if message["role"] == "user"]
    return asked[-1], found.messages[-1]["content"]
