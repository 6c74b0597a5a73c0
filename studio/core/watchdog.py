"""Whether a training goes well, from the figures of its steps alone."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import msgspec

CALM_STEPS = 50
FIRST_LOOK = 5
MOST_SKIPS = 20
FEW = 3
ZEROS = 5
EXPLODING, NORM_TIMES, LOSS_TIMES = 4, 10.0, 1.2
FAR_ABOVE, ABOVE_TIMES, ABOVE_MORE = 8, 1.5, 0.5
# A loss that sank this low before it reached zero got there by learning.
_LEARNT_BY_HEART = 1e-3

_SLOWER = "Start again with a lower learning rate or a longer warm-up."


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One step: its loss in nats a token, the gradient's norm before clipping, how many tokens
    were trained, and whether the weights stayed because these are no numbers."""

    loss: float
    grad_norm: float
    trained: int
    skipped: bool = False


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong in one sentence, what to do, and the first step that showed it."""

    title: str
    text: str
    fix: str
    since: int


class _Memory(msgspec.Struct, kw_only=True):
    """What is remembered of the steps so far; a row counts the steps that went wrong in line."""

    losses: list[float] = []
    norms: list[float] = []
    trained: int = 0
    lowest: float = math.inf
    skipped: int = 0
    untrained: int = 0
    zero: int = 0
    still: int = 0
    exploding: int = 0
    above: int = 0


class Watchdog:
    """Hears every step and says when a run should not go on like this.

    `scaled`: float16 with loss scaling, where an overflow now and then is normal. What it
    remembers belongs into a checkpoint, so that a resumed run is judged as one undisturbed.
    """

    def __init__(self, scaled: bool) -> None:
        self._scaled = scaled
        self._memory = _Memory()

    @property
    def uneasy(self) -> bool:
        """Whether the last step looked wrong, though not yet for long enough to say so."""
        seen = self._memory
        return any(
            (seen.skipped, seen.untrained, seen.zero, seen.still, seen.exploding, seen.above)
        )

    @property
    def trained(self) -> int:
        """Tokens learnt from so far."""
        return self._memory.trained

    def hear(self, step: int, figures: Figures) -> Trouble | None:
        """What is wrong after this step, counted from 1."""
        self._count(figures)
        seen = self._memory
        if seen.skipped >= (MOST_SKIPS if self._scaled else 1):
            return _no_number(step, seen.skipped)
        if seen.untrained >= FEW:
            return nothing_trained(step, seen.untrained)
        if seen.zero >= ZEROS:
            return _zero(step, seen.zero)
        if seen.still >= ZEROS:
            return _still(step, seen.still)
        if seen.exploding >= EXPLODING:
            return _exploding(step, seen.exploding, figures, median(seen.norms))
        if seen.above >= FAR_ABOVE:
            return _above(step, seen.above, figures, max(seen.losses))
        return None

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, as plain numbers and lists."""
        return dict(msgspec.to_builtins(self._memory))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember that again."""
        self._memory = msgspec.convert(state, _Memory)

    def _count(self, figures: Figures) -> None:
        seen = self._memory
        seen.skipped = seen.skipped + 1 if figures.skipped else 0
        if figures.skipped:
            return
        seen.trained += figures.trained
        seen.untrained = 0 if figures.trained else seen.untrained + 1
        if not figures.trained:
            return
        sudden = seen.lowest > _LEARNT_BY_HEART
        seen.zero = seen.zero + 1 if figures.loss == 0 and sudden else 0
        seen.still = seen.still + 1 if figures.loss > 0 and figures.grad_norm == 0 else 0
        self._compare(figures)
        if figures.loss > 0:
            seen.lowest = min(seen.lowest, figures.loss)

    def _compare(self, figures: Figures) -> None:
        """With the calm steps before; a step that stands out is no calm one."""
        seen = self._memory
        exploding = above = False
        if len(seen.losses) >= FIRST_LOOK:
            risen = figures.loss > LOSS_TIMES * median(seen.losses)
            exploding = risen and figures.grad_norm > NORM_TIMES * median(seen.norms)
            above = figures.loss > ABOVE_TIMES * max(seen.losses) + ABOVE_MORE
        seen.exploding = seen.exploding + 1 if exploding else 0
        seen.above = seen.above + 1 if above else 0
        if not (exploding or above):
            seen.losses = [*seen.losses, figures.loss][-CALM_STEPS:]
            seen.norms = [*seen.norms, figures.grad_norm][-CALM_STEPS:]


def broken_weights(step: int) -> Trouble:
    """Weights that are no longer numbers, found when they should be kept."""
    return Trouble(
        title="Training diverged",
        text=f"Some weights are no longer numbers after step {step}.",
        fix=_SLOWER,
        since=step,
    )


def _no_number(step: int, count: int) -> Trouble:
    return Trouble(
        title="Training diverged",
        text=f"The loss or its gradient is no longer a number at step {step}; "
        "the weights from before this step are unharmed.",
        fix=_SLOWER,
        since=step - count + 1,
    )


def nothing_trained(step: int, count: int) -> Trouble:
    """Steps, the last `count`, whose rows taught nothing."""
    return Trouble(
        title="Nothing to learn from",
        text=f"The rows of the last {count} steps have no token that is trained."
        if count > 1
        else "The rows of the last step have no token that is trained.",
        fix="Check which parts of a row are trained (train_on) and that answers aren't cut off by "
        "the maximum length.",
        since=step - count + 1,
    )


def _zero(step: int, count: int) -> Trouble:
    return Trouble(
        title="The loss is zero",
        text=f"The loss suddenly fell to exactly 0 and stayed there for {count} steps; so nothing "
        "is learnt.",
        fix="Look at the rows: answers may be empty. If they aren't, try another number format "
        "or a lower learning rate.",
        since=step - count + 1,
    )


def _still(step: int, count: int) -> Trouble:
    return Trouble(
        title="Nothing is learnt",
        text=f"The gradient has been exactly 0 for {count} steps, so the weights don't move.",
        fix="Try a lower learning rate, other target modules or another number format.",
        since=step - count + 1,
    )


def _exploding(step: int, count: int, figures: Figures, usual: float) -> Trouble:
    return Trouble(
        title="Gradients explode",
        text=f"For {count} steps the gradient has been over {NORM_TIMES:.0f} times its usual size "
        f"({figures.grad_norm:.3g} at step {step}, usually {usual:.3g}) while the loss rises.",
        fix=_SLOWER,
        since=step - count + 1,
    )


def _above(step: int, count: int, figures: Figures, highest: float) -> Trouble:
    return Trouble(
        title="Training diverged",
        text=f"For {count} steps the loss has been far above all before ({figures.loss:.3g} at "
        f"step {step}, at most {highest:.3g} before).",
        fix=_SLOWER,
        since=step - count + 1,
    )
