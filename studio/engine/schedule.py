"""When things happen in a run: the learning rate's course and the evaluations."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
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


def evaluate_now(step: int, total: int, every: int) -> bool:
    """Whether to evaluate after `step` steps; 0 for `every` means about five times a run."""
    return step == total or step % (every or max(1, math.ceil(total / EVALUATIONS))) == 0
