"""Dropout by places: the distribution, and the same places from the same state."""

from __future__ import annotations

import pytest
import torch

from studio.engine import chance
from studio.engine.fast.dropout import drawn, places


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.9])
def test_each_value_goes_with_the_share_asked_for(share: float) -> None:
    torch.manual_seed(1)
    count, times = 1000, 400
    taken = torch.zeros(count)
    for _ in range(times):
        found = drawn(count, share)[0]
        assert bool((found.diff() > 0).all())
        assert len(found) == 0 or 0 <= int(found[0]) <= int(found[-1]) < count
        taken[found] += 1
    spread = (share * (1 - share) / times) ** 0.5
    shares = taken / times
    assert float(shares.mean()) == pytest.approx(share, abs=5 * spread / count**0.5)
    assert float((shares - share).abs().max()) < 5 * spread
    assert float(shares.std()) == pytest.approx(spread, rel=0.15)


def test_neighbours_are_taken_independently() -> None:
    torch.manual_seed(2)
    taken = torch.zeros(400_000)
    taken[drawn(len(taken), 0.2)[0]] = 1
    for distance in (1, 2, 7, 64):
        both = float((taken[distance:] * taken[:-distance]).mean())
        assert both == pytest.approx(0.04, abs=0.0015)


def test_what_brings_torchs_generator_back_brings_the_places_back() -> None:
    before = chance.state()
    one, next_one = drawn(500, 0.1)[0], drawn(500, 0.1)[0]
    assert not torch.equal(one[:20], next_one[:20])
    chance.restore(before)
    assert torch.equal(drawn(500, 0.1)[0], one)


@pytest.mark.parametrize(("share", "kept"), [(0.05, torch.int16), (1e-5, torch.int32)])
def test_the_places_come_again_of_what_is_kept(share: float, kept: torch.dtype) -> None:
    torch.manual_seed(3)
    found, gaps = drawn(3_000_000, share)
    assert gaps.dtype == kept
    assert torch.equal(places(gaps), found)
