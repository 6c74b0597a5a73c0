"""Which rows are held out for evaluation: by the seed, and never a row with a twin in training."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from studio.preparer.grouping import Places

Mask = npt.NDArray[np.bool_]
Digests = npt.NDArray[np.uint64]
_FEWEST = 10
_MOST = 0.5


class Split:
    """Decides by the content of rows, whatever their order; rows of a group fall on one side.

    `digests` has two 64-bit numbers for each row. `near` are groups with near-duplicates in
    them, `exact` without. Rows from files that are set aside for evaluation are held out, and
    with them their groups; only without such files are groups drawn until `share` of the rows is
    held out. Near-duplicates of rows set aside stay in training only where they are more than
    half of it. At least one group stays for training.
    """

    def __init__(
        self,
        digests: Digests,
        near: Places,
        exact: Places,
        aside: Mask,
        share: float,
        seed: int,
    ) -> None:
        self._seed = str(seed).encode()[:64]
        self._digests = digests
        self._wanted = share > 0 and len(digests) >= _FEWEST
        self.held_out = np.zeros(len(digests), bool)
        if not len(digests):
            return
        if aside.any() and not aside.all():
            self.held_out = _with(near, aside)
            if (self.held_out & ~aside).sum() > _MOST * (~aside).sum():
                self.held_out = _with(exact, aside)
            if not self.held_out.all():
                return
        self.held_out = self._drawn(near, share)

    @property
    def enough(self) -> bool:
        """Whether rows are held out where some are wanted and there are enough to do so."""
        return not self._wanted or bool(self.held_out.any())

    def copies(self, row: int, weight: float) -> int:
        """How often a row of this weight is trained: 2.3 is twice, and with luck thrice."""
        whole = int(weight)
        if whole == weight:
            return whole
        luck = self._draw(self._digests[row].tobytes() + b"copies") / 2**64
        return whole + (luck < weight - whole)

    def _drawn(self, group: Places, share: float) -> Mask:
        """Groups in the order of the seed as long as they fit into the share."""
        names, place, sizes = np.unique(group, return_inverse=True, return_counts=True)
        first = self._digests[:, 0]
        least = np.full(len(names), np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(least, place, first)
        draws = np.fromiter((self._draw(one.tobytes()) for one in least), np.uint64, len(names))
        order = np.argsort(draws, kind="stable")
        wanted = round(len(group) * share)
        if self._wanted:
            wanted = max(1, wanted)
        taken = _taken(order, sizes, wanted)
        held = np.zeros(len(names), bool)
        held[taken[: len(names) - 1]] = True
        return held[place]

    def _draw(self, digest: bytes) -> int:
        drawn = blake2b(digest, key=self._seed, digest_size=8).digest()
        return int.from_bytes(drawn, "little")


def _with(group: Places, aside: Mask) -> Mask:
    marked = np.zeros(len(group), bool)
    marked[group[aside]] = True
    return marked[group]


def _taken(order: Places, sizes: Places, wanted: int) -> list[int]:
    """The places of groups that come to at most `wanted` rows; where none is as small, of the
    first of the smallest, unless it has most of the rows."""
    taken, room = [], wanted
    for place in order.tolist():
        if room <= 0:
            break
        if sizes[place] <= room:
            taken.append(place)
            room -= int(sizes[place])
    if wanted and not taken and sizes.min() <= _MOST * sizes.sum():
        taken = [int(order[np.argmin(sizes[order])])]
    return taken
