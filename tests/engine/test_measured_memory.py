"""The arithmetic against the truth: every tensor of the engine's real steps, counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support import memory_cases
from tests.support.measured_memory import Bench, Case, Result
from tests.support.tensor_peak import TensorPeak

WORST, MEAN = 0.15, 0.05
USUAL = memory_cases.usual()
GROUPS = sorted({case.kind for case in USUAL})
# peft says these of GPT-2's layers and of mixtures whose experts have no adapter.
pytestmark = [
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning"),
    pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys:RuntimeWarning"),
]


@pytest.fixture
def bench(tmp_path: Path, tiny_model: Path) -> Bench:
    """Models and runs in the test's own folder."""
    return Bench(tmp_path, tiny_model)


def test_enough_is_measured() -> None:
    assert len(set(map(str, USUAL))) == len(USUAL) >= 60
    assert {case.method for case in USUAL} == {"full", "lora", "qlora"}
    assert len(GROUPS) >= 12


@pytest.mark.parametrize("kind", GROUPS)
def test_a_step_takes_what_the_arithmetic_says(
    kind: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _judge(_measured([case for case in USUAL if case.kind == kind], bench, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("kind", memory_cases.KINDS)
def test_so_it_does_over_a_wider_sweep(
    kind: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _judge(_measured([c for c in memory_cases.wide() if c.kind == kind], bench, monkeypatch))


def _measured(cases: list[Case], bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Result]:
    for case in cases:
        with monkeypatch.context() as patch:
            yield bench.measure(case, patch)


def _judge(results: Iterator[Result]) -> None:
    found = list(results)
    told = "\n".join(f"{one.error:+.2%} of {one.true}: {one.case}" for one in found)
    print(told)
    errors = [abs(one.error) for one in found]
    assert max(errors) <= WORST, told
    assert sum(errors) / len(errors) <= MEAN, told
    # what is held anyway isn't what makes it right
    assert all(one.held < 0.7 * one.true for one in found), told


def test_the_count_itself_is_right() -> None:
    weight = torch.nn.Parameter(torch.ones(100, 100))
    values = torch.ones(50, 100)
    with TensorPeak() as counted:
        counted.hold([weight, values, weight.view(-1)])
        assert counted.now == 4 * (10_000 + 5_000)
        product = values @ weight
        part = product[:10]
        del product
        assert counted.now == 4 * (10_000 + 5_000 + 5_000)  # a view keeps all of it
        del part
        assert counted.now == 4 * 15_000
        loss = (values @ weight).exp().sum()  # the exponential is kept
        assert counted.now == 4 * (15_000 + 5_000 + 1)
        counted.mark("backward")
        loss.backward()
        assert counted.now == 4 * (15_000 + 10_000 + 1)
    assert counted.peak == counted.peaks["backward"] == 4 * (15_000 + 5_000 + 10_000 + 2)
