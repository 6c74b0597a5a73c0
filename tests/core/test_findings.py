"""Findings in words, and what check makes of them."""

from __future__ import annotations

import msgspec
import pytest

from studio.core.facts import DatasetReport
from studio.core.findings import KINDS, NAMED_ROWS, RowRef, after_rules, finding, share
from studio.core.problems import check
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe

RECIPE = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),))
REPORT = DatasetReport(
    path="d", format="chat messages", confidence=1.0, rows=1000, usable_rows=1000, kept_rows=1000
)


def test_counts_are_said_with_their_share() -> None:
    found = finding("duplicate", 400, 1000, tuple(RowRef(row=i) for i in range(400)))
    assert found.text == "400 rows of 1000 (40 %) say the same as an earlier row (duplicates)."
    assert (found.severity, found.count, len(found.rows)) == ("warning", 400, NAMED_ROWS)
    one = finding("duplicate", 1, 1000)
    assert one.text.startswith("1 row of 1000 (less than 1 %) says the same")
    assert one.severity == "info"
    assert (share(0, 5), share(999, 1000), share(5, 5)) == ("0 %", "99 %", "100 %")


def test_rules_are_said_with_what_they_leave() -> None:
    said = after_rules(90, 100, {"duplicate": 8, "echo": 2, "contact": 0}, {"trim": 3})
    assert said == (
        "90 of 100 rows after your rules; left out: duplicates 8, answers that repeat the prompt "
        "2. Mended: 3 trimmed."
    )
    assert after_rules(5, 5, {}, {}) == ""


def words(key: str) -> dict[str, object]:
    return dict.fromkeys(("length", "fits", "whole", "median", "rest", "languages", "kinds"), "x")


@pytest.mark.parametrize("key", [key for key, kind in KINDS.items() if kind.drop or kind.repair])
def test_a_finding_that_a_rule_deals_with_is_no_problem(key: str) -> None:
    found = finding(key, 400, 1000, (RowRef(row=7),), **words(key))
    report = msgspec.structs.replace(REPORT, findings=(found,))
    (problem,) = (p for p in check(RECIPE, None, None, report) if p.text == found.text)
    assert (problem.severity, problem.row) == ("warning", 7)
    data = DataPart(
        drop=(found.drop,) if found.drop else (), repair=(found.repair,) if found.repair else ()
    )
    ruled = msgspec.structs.replace(RECIPE, data=data)
    assert found.text not in [p.text for p in check(ruled, None, None, report)]


def test_few_of_them_are_no_problem_but_cut_answers_and_contact_data_are() -> None:
    for key, severity in {
        "duplicate": "info",
        "cut-answer": "warning",
        "contact": "warning",
    }.items():
        found = finding(key, 2, 1000, (), **words(key))
        assert found.severity == severity
        report = msgspec.structs.replace(REPORT, findings=(found,))
        fields = [p.field for p in check(RECIPE, None, None, report) if p.text == found.text]
        assert fields == {"cut-answer": ["data.max_length"], "contact": ["dataset"]}.get(key, [])


def test_rules_that_leave_nothing_block() -> None:
    report = msgspec.structs.replace(REPORT, kept_rows=0, dropped={"duplicate": 1000})
    (problem,) = (p for p in check(RECIPE, None, None, report) if p.severity == "error")
    assert problem.field == "data.drop"
