"""Which rows are held out for evaluation: by the seed, and never a row with a twin in training."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol


class HasDigest(Protocol):
    """What a row needs for its place to be decided."""

    @property
    def digest(self) -> bytes: ...
    @property
    def weight(self) -> float: ...
    @property
    def evaluation(self) -> bool: ...


class Split:
    """Decides by the content of rows: equal rows fall on one side, whatever their order.

    Rows from files that are set aside for evaluation are held out, and with them their twins in
    the training files; only without such files is `share` of the distinct rows drawn.
    At least one row stays for training.
    """

    def __init__(self, rows: Sequence[HasDigest], share: float, seed: int) -> None:
        self._seed = str(seed).encode()[:64]
        aside = {row.digest for row in rows if row.evaluation}
        distinct = {row.digest for row in rows} - aside
        if aside and distinct:
            self._held_out = aside
            return
        drawn = sorted(distinct or aside, key=self._draw)
        count = round(len(drawn) * share)
        if share and len(drawn) >= 10:
            count = max(1, count)
        self._held_out = set(drawn[: min(count, len(drawn) - 1)])

    def holds_out(self, row: HasDigest) -> bool:
        return row.digest in self._held_out

    def copies(self, row: HasDigest) -> int:
        """How often a row of this weight is trained: 2.3 is twice, and with luck thrice."""
        whole = int(row.weight)
        luck = int.from_bytes(self._draw(row.digest + b"copies")[:6], "little") / 2**48
        return whole + (luck < row.weight - whole)

    def _draw(self, digest: bytes) -> bytes:
        return blake2b(digest, key=self._seed, digest_size=16).digest()
