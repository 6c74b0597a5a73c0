"""One optimizer step: micro-batches forward and backward, then the update."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from accelerate.optimizer import AcceleratedOptimizer  # type: ignore[import-untyped]

from studio.core.errors import StudioError
from studio.engine import memory, optimizers, schedule, setup
from studio.engine.checkpoint import Stateful, trainable
from studio.engine.control import Control
from studio.engine.data import Row
from studio.engine.job import Context
from studio.engine.setup import Setup

MOST_SKIPS = 20


@dataclass(frozen=True)
class StepResult:
    """What one step did: mean loss in nats a trained token, gradient norm before clipping, the
    learning rate used, real tokens. `skipped`: float16 overflowed, the weights stayed."""

    loss: float
    grad_norm: float
    learning_rate: float
    tokens: int
    skipped: bool


class Learner:
    """A setup with its optimizer and learning rate schedule."""

    def __init__(self, context: Context, ready: Setup, total_steps: int, control: Control) -> None:
        training = ready.recipe.training
        self.setup = ready
        self.control = control
        self._context = context
        self._weights = list(trainable(ready.model).values())
        plain = optimizers.build(ready.model, training, ready.decided.learning_rate)
        self.scheduler = schedule.build(plain, training, total_steps)
        self.optimizer: AcceleratedOptimizer = ready.accelerator.prepare_optimizer(plain)
        self._skips = 0

    @property
    def parts(self) -> dict[str, Stateful]:
        """All of it that a checkpoint has to hold."""
        parts: dict[str, Stateful] = {"optimizer": self.optimizer, "scheduler": self.scheduler}
        if self.setup.accelerator.scaler is not None:
            parts["scaler"] = self.setup.accelerator.scaler
        return parts

    def step(self, rows: list[Row]) -> StepResult:
        """Learn from these rows. Raises CancelledByUserError when that is heard.

        A loss or gradient that is no number leaves the weights as they are.
        """
        loss, tokens = self._accumulate_within_memory(rows)
        norm = self._clip()
        rate = float(self.scheduler.get_last_lr()[0])
        good = math.isfinite(loss) and math.isfinite(norm)
        if good or self.setup.accelerator.scaler is not None:
            self.optimizer.step()
        skipped = not good or bool(self.optimizer.step_was_skipped)
        if not skipped:
            self.scheduler.step()
        self._skips = self._skips + 1 if skipped else 0
        self.optimizer.zero_grad()
        return StepResult(loss, norm, rate, tokens, skipped)

    def refuse_divergence(self, result: StepResult, step: int) -> None:
        """Raise StudioError if the run can't go on from this step.

        With loss scaling an overflow now and then is normal: the scale shrinks until it fits.
        """
        scaled = self.setup.accelerator.scaler is not None
        if not result.skipped or (scaled and self._skips < MOST_SKIPS):
            return
        raise StudioError(
            "Training diverged",
            f"The loss or its gradient is no longer a number at step {step}; "
            "the weights from before this step are unharmed.",
            "Start again with a lower learning rate or a longer warm-up.",
        )

    def _accumulate_within_memory(self, rows: list[Row]) -> tuple[float, int]:
        """Where the card has no room for a micro-batch, smaller ones are made from here on."""
        while True:
            try:
                return self._accumulate(rows)
            except torch.OutOfMemoryError:
                smaller = setup.with_smaller_batches(self.setup, self._context.folder)
                if smaller is None:
                    raise
            self.setup = smaller
            self._context.channel.note(
                "The card has no room for this batch; going on with smaller micro-batches."
            )
            self.optimizer.zero_grad()
            memory.forget_peak()

    def _accumulate(self, rows: list[Row]) -> tuple[float, int]:
        """Gradients of the mean over all trained tokens of the step, however it is cut up."""
        ready = self.setup
        batches = ready.task.batches(
            rows,
            tokens=ready.decided.micro_batch_tokens,
            size=ready.decided.micro_batch_size if ready.recipe.training.micro_batch_size else 0,
            packed=ready.decided.packing,
        )
        trained = max(1, sum(batch.trained for batch in batches))
        total = torch.zeros((), device=ready.accelerator.device)
        for batch in batches:
            self.control.listen()
            with ready.autocast():
                loss = ready.task.loss_sum(batch) / trained
            ready.accelerator.backward(loss)
            total += loss.detach()
        return float(total), sum(batch.tokens for batch in batches)

    def _clip(self) -> float:
        limit = self.setup.recipe.training.max_grad_norm or math.inf
        return float(self.setup.accelerator.clip_grad_norm_(self._weights, limit))
