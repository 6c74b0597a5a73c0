"""Which values dropout takes: drawn one by one, cheaply, because few are taken."""

from __future__ import annotations

import math

import numpy as np
import torch

from studio.engine.fast import slabs


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
    places = _gaps(generator, enough, rate, count).cumsum(0, dtype=torch.int32)
    while places[-1] <= count:  # hardly ever: six standard deviations were drawn
        more = _gaps(generator, enough, rate, count).cumsum(0, dtype=torch.int32) + places[-1]
        places = torch.cat([places, more])
    taken = int(torch.searchsorted(places, count, right=True))
    return torch.sub(places[:taken], 1, out=slabs.empty((taken,), torch.int32, places.device))


def _gaps(generator: np.random.Generator, gaps: int, rate: float, most: int) -> torch.Tensor:
    """Numbers of the geometric distribution, from 1 on: exponential ones, rounded up. What is
    longer than `most` leads behind the last value anyway."""
    waits = generator.standard_exponential(gaps)
    waits *= rate
    np.minimum(waits, most, out=waits)
    return torch.from_numpy(waits.astype(np.int32)).add_(1)
