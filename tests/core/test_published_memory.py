"""Estimates against published runs of other trainers (fixtures/memory/published.csv)."""

from __future__ import annotations

from statistics import fmean

import pytest

from tests.support.published import Compared, Reading, compared, rows


@pytest.fixture(scope="module")
def found() -> list[Compared]:
    return compared()


def test_every_row_has_its_source_and_but_for_unknown_lengths_an_estimate(
    found: list[Compared],
) -> None:
    assert all(row["source"] for row in rows())
    unknown = {row["id"] for row in rows() if not row["seq_len"]}
    assert {one.id for one in found} == {row["id"] for row in rows()} - unknown
    assert all(one.estimate.expected_bytes > 0 for one in found)


def test_the_mean_absolute_error_is_at_most_8_per_cent(found: list[Compared]) -> None:
    errors = [abs(one.error) for one in found]
    assert fmean(errors) <= 0.08, {one.id: f"{one.error:+.1%}" for one in found}


def test_the_upper_bound_is_below_the_peak_on_at_most_one_row_in_twenty(
    found: list[Compared],
) -> None:
    below = [one.id for one in found if one.upper < one.measured]
    assert len(below) <= len(found) / 20, below


def test_the_upper_bound_is_no_more_than_a_third_above_the_peak_on_most_rows(
    found: list[Compared],
) -> None:
    far = [one.id for one in found if one.upper > 1.34 * one.measured]
    assert len(far) <= len(found) / 10, far


def test_levers_come_to_what_was_published(found: list[Compared]) -> None:
    """torchtune's run with the optimizer in the backward pass and activations in system memory."""
    plain = next(one for one in found if one.id == "tt-flags-62")
    levered = next(one for one in compared(Reading(levers=True)) if one.id == plain.id)
    assert plain.error > 0.1
    assert abs(levered.error) <= 0.08


def test_no_source_is_far_off_as_a_whole(found: list[Compared]) -> None:
    """No source is fitted at the others' cost."""
    for source in {one.source for one in found}:
        errors = [one.error for one in found if one.source == source]
        assert abs(fmean(errors)) <= 0.15, source


def test_parameters_are_the_published_ones(found: list[Compared]) -> None:
    for one in found:
        if "does not tie" not in one.row["note"] and one.row["params_b"]:
            assert one.parameters / 1e9 == pytest.approx(float(one.row["params_b"]), rel=0.04), (
                one.model
            )
