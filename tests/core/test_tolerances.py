"""The tolerances of passports beside figures of real exports, which tests/benchmarks/passports.py
measured."""

from __future__ import annotations

import pytest

from tests.support.passport_table import HONEST, TABLE, Line, failing, read

KEPT = 0.75
"""Of what training brought on held-out rows: an export that has less of it lost the training."""
LINES = read(TABLE)


def name(line: Line) -> str:
    return f"{line.adapter}, {line.kind}, {line.case}"


def test_the_table_has_every_precision_with_and_without_its_training() -> None:
    honest = {line.kind for line in LINES if line.case == HONEST}
    assert honest >= {"F16", "bfloat16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "int4", "NF4"}
    assert {line.case for line in LINES} >= {"alpha 1/2", "alpha 2", "no training", "another's"}
    assert any(line.case == HONEST and line.kept < KEPT for line in LINES)
    assert all(line.positions >= 1_000 for line in LINES)


@pytest.mark.parametrize("line", LINES, ids=name)
def test_what_kept_its_training_passes_and_nothing_else(line: Line) -> None:
    intact = line.rounded == "4-bit base" or line.kept >= KEPT
    assert (failing(line) == []) == (line.case == HONEST and intact)
