"""What was measured on this machine against the arithmetic: the ratio that the next estimate takes.

A ratio belongs to a card, its driver and a kernel (how the computation goes), not to a model. It
is used for runs of like size alone: what a process takes besides its tensors doesn't grow with
them.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from studio.core import memory
from studio.core.facts import Machine, ModelFacts
from studio.core.memory import Estimate, Ways
from studio.core.recipe import AutoBool, Recipe
from studio.core.sizing.offloading import recomputing

# Of how many of the newest measurements the median is taken.
NEWEST = 5
# Measurements of runs up to so many times smaller or larger say something about this one.
LIKE = 4.0
# A ratio beyond is of something else than of the run: another program, a broken count.
LEAST, MOST = 0.05, 50.0


class CalibrationKey(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how it was measured: the card's name ("CPU" without one), its driver, and the
    method, computing type, checkpointing, attention and logits in one word."""

    device: str
    driver: str
    kernel: str


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: `ratio` is `peak_bytes` / `expected_bytes`, both without the context.
    `at` is seconds since the epoch."""

    key: CalibrationKey
    ratio: float
    peak_bytes: int
    expected_bytes: int
    at: float = 0.0


def key_of(recipe: Recipe, machine: Machine | None, found: Estimate) -> CalibrationKey:
    """The key of what an estimate reckoned with."""
    card = memory.card_of(machine)
    assumed = found.assumed
    words = (
        recipe.method,
        f"{assumed.get('computes_in_bits', '')}-bit",
        "recomputed" if assumed.get("gradient_checkpointing") == "yes" else "kept",
        "offloaded" if "offload_activations" in assumed else "",
        "updated-early" if "optimizer_in_backward" in assumed else "",
        str(assumed.get("attention", "")),
        str(assumed.get("logits", "")),
    )
    return CalibrationKey(
        device=card.name if card else "CPU",
        driver=card.driver if card else "",
        kernel=" ".join(word for word in words if word),
    )


def measured(
    key: CalibrationKey, peak_bytes: int, expected_bytes: int, at: float = 0.0
) -> Calibration | None:
    """A measurement worth keeping; None where it can't be of the run that was reckoned with."""
    if peak_bytes <= 0 or expected_bytes <= 0:
        return None
    ratio = peak_bytes / expected_bytes
    if not LEAST <= ratio <= MOST:
        return None
    return Calibration(
        key=key, ratio=ratio, peak_bytes=peak_bytes, expected_bytes=expected_bytes, at=at
    )


def ratio(kept: Sequence[Calibration], key: CalibrationKey, expected_bytes: int) -> float:
    """Measured over reckoned, the median of the newest few of like size; 1.0 without any.

    `kept` has the newest last.
    """
    like = [one.ratio for one in kept if one.key == key and _alike(one, expected_bytes)]
    return statistics.median(like[-NEWEST:]) if like else 1.0


def calibrated(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None = None,
    longest: int = 0,
    advise: bool = True,
    *,
    kept: Sequence[Calibration] = (),
    ways: Ways = Ways(),
) -> Estimate:
    """`memory.estimate` with what was measured on this machine, where anything was."""
    return with_ratio(recipe, model, machine, longest, advise, kept=kept, ways=ways)[0]


def with_ratio(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None = None,
    longest: int = 0,
    advise: bool = True,
    *,
    kept: Sequence[Calibration] = (),
    ways: Ways = Ways(),
) -> tuple[Estimate, float]:
    """The same, and the ratio that is in it (1.0: nothing was measured)."""
    if not kept:
        return memory.estimate(recipe, model, machine, longest, advise, ways=ways), 1.0

    def settled(checkpointing: AutoBool) -> tuple[Estimate, float]:
        training = msgspec.structs.replace(recipe.training, gradient_checkpointing=checkpointing)
        decided = msgspec.structs.replace(recipe, training=training)
        plain = memory.estimate(decided, model, machine, longest, advise, ways=ways)
        known = ratio(kept, key_of(decided, machine, plain), plain.expected_bytes)
        if known == 1.0:
            return plain, 1.0
        found = memory.estimate(
            decided, model, machine, longest, advise, ways=ways, calibration=known
        )
        return found, known

    asked = recomputing(recipe, machine)
    found = settled("no" if asked == "auto" else asked)
    too_much = asked == "auto" and found[0].verdict in ("tight", "too big")
    return settled("yes") if too_much else found


def recomputes(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None,
    longest: int,
    kept: Sequence[Calibration],
) -> bool:
    """Whether activations are recomputed: as asked, and on auto where nothing else would fit."""
    asked = recomputing(recipe, machine)
    if asked != "auto":
        return asked == "yes"
    found = calibrated(recipe, model, machine, longest, advise=False, kept=kept)
    return found.assumed.get("gradient_checkpointing") == "yes"


def _alike(one: Calibration, expected_bytes: int) -> bool:
    return expected_bytes / LIKE <= one.expected_bytes <= expected_bytes * LIKE
