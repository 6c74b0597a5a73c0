"""What to do about a training that goes wrong: slow it down, and publish nothing broken."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import msgspec
import torch
from torch import nn

from studio.core.errors import StudioError
from studio.core.watchdog import Trouble, Watchdog, broken_weights, nothing_trained
from studio.engine.checkpoint import trainable
from studio.engine.decided import remember
from studio.engine.setup import Setup
from studio.library.folders import JobFolder

MOST_ROLL_BACKS = 2


def as_error(trouble: Trouble) -> StudioError:
    """The trouble as the end of a run."""
    return StudioError(trouble.title, trouble.text, trouble.fix)


def slower(setup: Setup, folder: JobFolder) -> Setup | None:
    """The setup with half the learning rate, written to decided.json for a resumed run as well;
    None where that was done often enough already."""
    decided = setup.decided
    if decided.roll_backs >= MOST_ROLL_BACKS:
        return None
    halved = msgspec.structs.replace(
        decided, learning_rate=decided.learning_rate / 2, roll_backs=decided.roll_backs + 1
    )
    remember(folder, halved)
    return replace(setup, decided=halved)


def in_weights(model: nn.Module, step: int) -> Trouble | None:
    """Whether weights that learn are no longer numbers after `step` steps."""
    return None if _finite(trainable(model).values()) else broken_weights(step)


def refuse_to_publish(model: nn.Module, watchdog: Watchdog, step: int) -> None:
    """Raise StudioError for weights that are broken or that learnt from nothing."""
    if broken := in_weights(model, step):
        raise as_error(broken)
    if not watchdog.trained:
        raise as_error(nothing_trained(step, step))


@torch.no_grad()
def _finite(weights: Iterable[nn.Parameter]) -> bool:
    return math.isfinite(float(nn.utils.get_total_norm(list(weights), math.inf)))
