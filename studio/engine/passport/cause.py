"""What an export that answers otherwise looks like: untrained, too strong, wrongly turned."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from studio.core.passport import Cause
from studio.engine.passport.live import Reference
from studio.engine.passport.measures import divergence
from studio.engine.runtimes import Told

EXPLAINS = 0.7
"""Of the divergence from the live model: another strength that is that near explains an export."""
MOST = 100.0


def nearest(reference: Reference, told: Sequence[Told]) -> tuple[float, float]:
    """The other strength of the adapter at which the live model comes nearest to the export, and
    how far that is in shares of the way to the live model itself: below 1 the export is nearer to
    the wrong one. `told` are the export's words on the reference's first rows."""
    if not reference.otherwise:
        return 1.0, MOST
    apart = _apart(reference.told, told)
    distance, strength = min((_apart(said, told), s) for s, said in reference.otherwise.items())
    return strength, min(MOST, distance / max(apart, 1e-9))


def of(reference: Reference, told: Sequence[Told], probed: Sequence[Told]) -> tuple[Cause, float]:
    """The cause, and the strength that the adapter seems to have. `probed` are the export's words
    after single tokens."""
    strength, ratio = nearest(reference, told)
    if ratio < EXPLAINS:
        return ("lost", 0.0) if strength == 0.0 else ("strength", strength)
    if _apart(reference.probed, probed) < 0.02 * _apart(reference.told, told):
        return "rotation", 1.0
    return "other", 1.0


def _apart(live: Sequence[Told], told: Sequence[Told]) -> float:
    pairs = zip(live, told, strict=False)
    return float(torch.cat([divergence(one.logprobs, other) for one, other in pairs]).mean())
