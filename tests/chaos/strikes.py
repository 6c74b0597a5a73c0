"""When to kill an engine: moments chosen by seed."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import Literal

Moment = Literal["any", "saving", "evaluating", "publishing"]

EVAL_EVERY = 15
"""Steps from one evaluation of a victim to the next."""

_TARGETS: tuple[Moment, ...] = ("saving", "evaluating", "publishing")
_AFTER_SECONDS: dict[Moment, float] = {"saving": 0.015, "evaluating": 0.015, "publishing": 0.04}
"""How long each lasts about on the tiny model; the kill comes within it."""


@dataclass(frozen=True)
class Strike:
    """One kill -9. `seconds` count from the launch of the engine, or from when it is seen to save,
    evaluate or publish for the `skip`-th time. `keeper`: the keeper is killed just before."""

    moment: Moment
    seconds: float
    skip: int = 0
    keeper: bool = False


def plan(count: int, lasts: float, seed: int) -> list[Strike]:
    """So many kills for runs that last `lasts` seconds undisturbed: every other one at any time
    of the run, the rest while something is written or measured."""
    chance = random.Random(seed)
    strikes = []
    for number in range(count):
        moment: Moment = "any" if number % 2 else _TARGETS[number // 2 % len(_TARGETS)]
        most = lasts if moment == "any" else _AFTER_SECONDS[moment]
        skip = chance.randrange(3) if moment == "saving" else 0
        keeper = moment == "any" and chance.random() < 0.25
        strikes.append(Strike(moment, chance.uniform(0, most), skip, keeper))
    chance.shuffle(strikes)
    return strikes


def sooner(strike: Strike) -> Strike:
    """The same where a run was over before it came: a busy machine is not always equally slow."""
    return dataclasses.replace(strike, seconds=strike.seconds / 2, skip=0)
