"""When things happen in a run: the learning rate's course and the evaluations."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import get_scheduler

from studio.core.recipe import TrainingPart

EVALUATIONS = 5
_NAMES = {"constant": "constant_with_warmup"}


def build(optimizer: Optimizer, training: TrainingPart, total: int) -> LRScheduler:
    """The learning rate's course over `total` steps: a warm-up, then the recipe's curve."""
    scheduler: LRScheduler = get_scheduler(
        _NAMES.get(training.scheduler, training.scheduler),
        optimizer,
        num_warmup_steps=math.ceil(training.warmup_share * total),
        num_training_steps=total,
    )
    return scheduler


def keep_rate(scheduler: LRScheduler, rate: float) -> None:
    """Make `rate` the highest learning rate of the course, from where it is now on."""
    scheduler.base_lrs = [rate for _ in scheduler.base_lrs]
    assert isinstance(scheduler, LambdaLR)
    now = [rate * share(scheduler.last_epoch) for share in scheduler.lr_lambdas]
    scheduler._last_lr = list(now)
    for group, value in zip(scheduler.optimizer.param_groups, now, strict=True):
        group["initial_lr"], group["lr"] = rate, value


def evaluate_now(step: int, total: int, every: int) -> bool:
    """Whether to evaluate after `step` steps; 0 for `every` means about five times a run."""
    return step == total or step % (every or max(1, math.ceil(total / EVALUATIONS))) == 0
