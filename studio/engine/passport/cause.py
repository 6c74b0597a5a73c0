"""What an export that answers otherwise looks like: untrained, too strong, wrongly turned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft.helpers import rescale_adapter_scale

from studio.core.passport import Cause
from studio.engine.passport.live import Live, Reference
from studio.engine.passport.measures import divergence
from studio.engine.runtimes import Row, Tick, Told

STRENGTHS = (0.0, 0.25, 0.5, 2.0, 4.0)
NEARER = 0.3
"""Of the divergence from the live model: what comes that near to the export explains it."""
PLACES = 200


def first_rows(rows: Sequence[Row]) -> int:
    """How many rows are enough to tell causes apart."""
    places = 0
    for count, row in enumerate(rows):
        places += len(row.places)
        if places >= PLACES:
            return count + 1
    return len(rows)


def of(
    live: Live, reference: Reference, told: Sequence[Told], probed: Sequence[Told], tick: Tick
) -> tuple[Cause, float]:
    """The cause, and the strength that the adapter seems to have. `told` are the export's words on
    the reference's first rows, `probed` after single tokens."""
    apart = _apart(reference.told, told)
    if live.adapter:
        strength, distance = _nearest(live, reference, told, tick)
        if distance < NEARER * apart:
            return ("lost", 0.0) if strength == 0.0 else ("strength", strength)
    if _apart(reference.probed, probed) < 0.02 * apart:
        return "rotation", 1.0
    return "other", 1.0


def _nearest(
    live: Live, reference: Reference, told: Sequence[Told], tick: Tick
) -> tuple[float, float]:
    """The strength at which the live model is nearest to the export, and how near."""
    rows = reference.rows[: len(told)]
    found: list[tuple[float, float]] = []
    with live.loaded() as runtime:
        for strength in STRENGTHS:
            with rescale_adapter_scale(runtime.model, strength):
                found.append((_apart(list(runtime.read(rows, tick)), told), strength))
    distance, strength = min(found)
    return strength, distance


def _apart(live: Sequence[Told], told: Sequence[Told]) -> float:
    pairs = zip(live, told, strict=False)
    return float(torch.cat([divergence(one.logprobs, other) for one, other in pairs]).mean())
