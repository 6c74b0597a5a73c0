"""What a job really took beside the arithmetic, remembered for the estimates to come here."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from studio.core import calibration
from studio.core import memory as arithmetic
from studio.core.memory import Estimate
from studio.core.recipe import Recipe
from studio.engine import memory, peaks
from studio.engine.decided import Decided
from studio.engine.job import Context
from studio.engine.setup import Setup
from studio.library import calibrations


def compare(context: Context, ready: Setup, peak: int, *, keep: bool) -> dict[str, Any]:
    """The peak beside the arithmetic for the same run; the ratio is kept where that is wanted."""
    recipe, found = _reckoned(context, ready)
    machine = memory.machine(context.home)
    key = calibration.key_of(recipe, machine, found)
    one = calibration.measured(key, peak, found.expected_bytes, time.time())
    kept = bool(keep and one and calibrations.remember(context.home, one))
    return {
        "expected_bytes": found.expected_bytes,
        "expected_parts": found.parts,
        "ratio": peak / found.expected_bytes if found.expected_bytes else None,
        "kernel": key.kernel,
        "kept": kept,
    }


class Witness:
    """Takes a finished training's own peak for a measurement, where it saw every row in one go.

    Made before the model is loaded.
    """

    def __init__(self) -> None:
        self._idle = peaks.idle()
        self._decided: Decided | None = None
        self._epoch = 0.0

    def began(self, ready: Setup, epoch: float) -> None:
        """The training begins, or goes on, with this setup in this epoch."""
        self._decided, self._epoch = ready.decided, epoch

    def testify(self, context: Context, ready: Setup, epoch: float) -> None:
        """It ends in this epoch. A run that went on with smaller batches took less than its
        recipe says."""
        if epoch - self._epoch >= 1 and ready.decided == self._decided:
            compare(context, ready, memory.peak() - self._idle, keep=True)


def _reckoned(context: Context, ready: Setup) -> tuple[Recipe, Estimate]:
    """The arithmetic for what was really done, without anything measured in it."""
    decided = ready.decided
    training = msgspec.structs.replace(
        ready.recipe.training,
        gradient_checkpointing="yes" if decided.gradient_checkpointing else "no",
    )
    recipe = msgspec.structs.replace(ready.recipe, training=training)
    machine = memory.machine(context.home)
    longest = ready.train_rows.longest
    return recipe, arithmetic.estimate(recipe, ready.facts, machine, longest, advise=False)
