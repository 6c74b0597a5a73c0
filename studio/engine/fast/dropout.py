"""Which values dropout takes: drawn one by one, cheaply, because few are taken."""

from __future__ import annotations

import math

import numpy as np
import torch

from studio.engine.fast import slabs

_NARROW = torch.iinfo(torch.int16).max


def drawn(count: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The places among `count` values that dropout with this share sets to zero, ascending int64,
    and what `places` makes them of again: a quarter of that or half.

    Each value is taken independently with probability `share`, as torch.nn.Dropout does it: the
    gaps between the taken ones are drawn, which follow the geometric distribution. That takes a
    random number for each value taken instead of one for each value. Its seed comes from torch's
    own generator, so that what brings that back brings the same places back.
    """
    seed = int(torch.randint(1 << 62, ()))
    generator = np.random.Generator(np.random.SFC64(seed))
    rate = -1.0 / math.log1p(-share)
    expected = count * share
    enough = int(expected + 6 * math.sqrt(expected) + 16)
    gaps = _gaps(generator, enough, rate, count)
    gaps[0] -= 1  # from the first value on, not from before it
    found = places(gaps)
    while found[-1] < count:  # hardly ever: six standard deviations were drawn
        more = _gaps(generator, enough, rate, count)
        gaps = torch.cat([gaps.int(), more.int()])
        found = places(gaps)
    taken = int(torch.searchsorted(found, count))
    return found[:taken], slabs.keep(gaps[:taken])


def places(gaps: torch.Tensor) -> torch.Tensor:
    """The places that lie so far from one another, ascending int64."""
    return gaps.cumsum(0, dtype=torch.int64)


def _gaps(generator: np.random.Generator, gaps: int, rate: float, most: int) -> torch.Tensor:
    """Numbers of the geometric distribution, from 1 on: exponential ones, rounded up. What is
    longer than `most` leads behind the last value anyway. In 16 bits, where none is longer."""
    waits = generator.standard_exponential(gaps)
    waits *= rate
    if waits.max() < _NARROW:
        return torch.from_numpy(waits.astype(np.int16)).add_(1)
    np.minimum(waits, most, out=waits)
    return torch.from_numpy(waits.astype(np.int32)).add_(1)
