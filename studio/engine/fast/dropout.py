"""Which values dropout takes: drawn one by one, cheaply, because few are taken."""

from __future__ import annotations

import math

import numpy as np
import torch


def dropped(count: int, share: float) -> torch.Tensor:
    """The places among `count` values that dropout with this share sets to zero, ascending int32.

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
    places = np.cumsum(_gaps(generator, enough, rate)) - 1
    while places[-1] < count:  # hardly ever: six standard deviations were drawn
        more = np.cumsum(_gaps(generator, enough, rate)) + places[-1]
        places = np.concatenate([places, more])
    return torch.from_numpy(places[: np.searchsorted(places, count)].astype(np.int32))


def _gaps(generator: np.random.Generator, count: int, rate: float) -> np.ndarray:
    """Numbers of the geometric distribution, from 1 on: exponential ones, rounded up."""
    waits = generator.standard_exponential(count)
    waits *= rate
    gaps: np.ndarray = waits.astype(np.int64)
    gaps += 1
    return gaps
