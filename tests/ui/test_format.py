"""Numbers as people read them."""

from __future__ import annotations

import pytest

from studio.ui import format as say

GIB, MIB = 1 << 30, 1 << 20


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 KB"),
        (430_000, "420 KB"),
        (94 * MIB, "94 MB"),
        (1016 * MIB, "1.0 GB"),
        (int(10.94 * GIB), "10.9 GB"),
        (300 * GIB, "300 GB"),
    ],
)
def test_sizes(count: int, said: str) -> None:
    assert say.size(count) == said


def test_how_much_of_how_much() -> None:
    assert say.size_of(int(10.9 * GIB), 24 * GIB) == "10.9 of 24 GB"
    assert say.size_of(GIB, int(7.75 * GIB)) == "1.0 of 7.8 GB"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(41.2, "41 s"), (900, "15 min"), (3600 * 3 + 600, "3 h 10 min"), (86_400 * 2.2, "2 days")],
)
def test_durations(seconds: float, said: str) -> None:
    assert say.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(32_768, "32,768"), (4_884_480, "4.9 M"), (134_515_008, "135 M"), (7.24e9, "7.2 B")],
)
def test_parameters(number: float, said: str) -> None:
    assert say.parameters(number) == said


@pytest.mark.parametrize(("share", "said"), [(0.643, "64%"), (0.9999, "99%"), (1.0, "100%")])
def test_only_all_is_a_hundred_per_cent(share: float, said: str) -> None:
    assert say.share(share) == said


@pytest.mark.parametrize(("rate", "said"), [(2e-4, "2e-4"), (1.5e-5, "1.5e-5"), (0.05, "0.05")])
def test_rates(rate: float, said: str) -> None:
    assert say.rate(rate) == said
