"""One optimizer step: micro-batches forward and backward, then the update."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from accelerate.optimizer import AcceleratedOptimizer  # type: ignore[import-untyped]

from studio.core import events
from studio.core.sizing.plan import updates_early
from studio.core.watchdog import Figures, Watchdog
from studio.engine import chance, evaluate, optimizers, rescue, schedule, trouble
from studio.engine.checkpoint import Stateful, trainable
from studio.engine.control import Control
from studio.engine.data import Row, Rows
from studio.engine.early_updates import EarlyUpdates
from studio.engine.job import Context
from studio.engine.setup import Setup
from studio.engine.tasks.causal_lm import Batch


class StepResult(Figures, frozen=True, kw_only=True):
    """What one step did, besides its figures: the learning rate used and real tokens."""

    learning_rate: float
    tokens: int


class Learner:
    """A setup with its optimizer and learning rate schedule. Where memory is too short, it goes
    on with a smaller `setup`. `phase` hears what begins: forward, backward, optimizer."""

    def __init__(self, context: Context, ready: Setup, total_steps: int, control: Control) -> None:
        training = ready.recipe.training
        self.setup = ready
        self.control = control
        self.phase: Callable[[str], None] = lambda name: None
        self.watchdog = Watchdog(scaled=ready.accelerator.scaler is not None)
        self._context = context
        self._weights = list(trainable(ready.model).values())
        plain = optimizers.build(ready.model, training, ready.decided.learning_rate)
        self.scheduler = schedule.build(plain, training, total_steps)
        self.optimizer: AcceleratedOptimizer = ready.accelerator.prepare_optimizer(plain)
        self._updating = False
        self._early = self._updates_early(plain)

    @property
    def parts(self) -> dict[str, Stateful]:
        """All of it that a checkpoint has to hold."""
        parts: dict[str, Stateful] = {
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "watchdog": self.watchdog,
        }
        if self.setup.accelerator.scaler is not None:
            parts["scaler"] = self.setup.accelerator.scaler
        return parts

    def step(self, rows: list[Row], done: int = 0) -> StepResult:
        """Learn from these rows, after `done` whole steps.

        A loss or gradient that is no number leaves the weights as they are. Where memory runs
        out, the step is taken again with smaller micro-batches. Raises CancelledByUserError when
        that is heard, StudioError where nothing smaller is left, and HalfUpdatedError where the
        weights have to be put back first.
        """
        before = chance.state()
        while (result := rescue.within_memory(lambda: self._step(rows))) is None:
            where = "the update of the weights" if self._updating else "a step"
            self.make_room(where, done)
            chance.restore(before)
        return result

    def make_room(self, where: str, done: int) -> None:
        """Go on with a smaller setup, and say so. Raises as `step` does."""
        self.optimizer.zero_grad()
        self._forget_scaling()
        smaller = rescue.smaller(self.setup, self._context.folder)
        if smaller is None:
            raise rescue.no_room(self._context, where)
        self.setup = smaller
        if self._updating:
            self._updating = False
            self.optimizer.state.clear()  # room for what is put back
            raise rescue.HalfUpdatedError(where)
        self.say_rescued(where, done)

    def say_rescued(self, where: str, done: int) -> None:
        """Memory ran out in `where`; the run stands behind `done` whole steps."""
        decided = self.setup.decided
        self._context.channel.emit(
            events.Rescued(
                step=done,
                where=where,
                micro_batch_size=decided.micro_batch_size,
                gradient_accumulation=decided.gradient_accumulation,
            )
        )

    def held_out_loss(
        self,
        rows: Rows,
        listen: Callable[[], None],
        say: Callable[[float], None],
        done: int,
    ) -> float | None:
        """The mean loss on held-out rows; None where not one row finds room in memory."""
        while (
            loss := rescue.within_memory(lambda: evaluate.loss_on(self.setup, rows, listen, say))
        ) is None:
            smaller = rescue.evaluating_less(self.setup, rows.longest, self._context.folder)
            if smaller is None:
                self._context.channel.note(
                    "There is not enough free memory to evaluate; it is left out this time.",
                    "warning",
                )
                return None
            self.setup = smaller
            self.say_rescued("the evaluation", done)
        return loss

    def slow_down(self) -> bool:
        """Halve the learning rate for the rest of the run; False where that was done often enough
        already. Takes effect with `keep_rate`."""
        slower = trouble.slower(self.setup, self._context.folder)
        self.setup = slower or self.setup
        return slower is not None

    def keep_rate(self) -> None:
        """The learning rate decided on, where a checkpoint brought back an earlier one."""
        schedule.keep_rate(self.scheduler, self.setup.decided.learning_rate)

    def _step(self, rows: list[Row]) -> StepResult:
        rate = float(self.scheduler.get_last_lr()[0])
        batches = self._batches(rows)
        tokens = sum(batch.tokens for batch in batches)
        trained = sum(batch.trained for batch in batches)
        update = self._update_early if self._early and len(batches) == 1 else self._update
        loss, norm, skipped = update(batches, trained)
        if not skipped:
            self.scheduler.step()
        self.optimizer.zero_grad()
        return StepResult(
            loss=loss,
            grad_norm=norm,
            trained=trained,
            skipped=skipped,
            learning_rate=rate,
            tokens=tokens,
        )

    def _batches(self, rows: list[Row]) -> list[Batch]:
        ready = self.setup
        return ready.task.batches(
            rows,
            tokens=ready.decided.micro_batch_tokens,
            size=ready.decided.micro_batch_size if ready.recipe.training.micro_batch_size else 0,
            packed=ready.decided.packing,
        )

    def _update(self, batches: list[Batch], trained: int) -> tuple[float, float, bool]:
        """Gradients of all micro-batches, then the weights: loss, norm, whether they stayed."""
        loss = self._accumulate(batches, trained)
        self.phase("optimizer")
        norm = self._clip()
        good = math.isfinite(loss) and math.isfinite(norm)
        if good or self.setup.accelerator.scaler is not None:
            self._updating = True
            self.optimizer.step()
            self._updating = False
        return loss, norm, not good or bool(self.optimizer.step_was_skipped)

    def _update_early(self, batches: list[Batch], trained: int) -> tuple[float, float, bool]:
        """The same for a batch in one go, each weight as soon as its gradient is there. A loss that
        is no number isn't gone back from; a gradient that is none leaves weights half updated."""
        assert self._early is not None
        self.control.listen()
        loss = self._forward(batches[0], trained)
        value = float(loss.detach())
        if not math.isfinite(value):
            return value, math.nan, True
        self.phase("backward")
        with self._early.during_backward():
            self.setup.accelerator.backward(loss)
        self._updating = False
        self.phase("optimizer")
        return value, self._early.norm(), self._early.broken

    def _accumulate(self, batches: list[Batch], trained: int) -> float:
        """Gradients of the mean over all trained tokens of the step, however it is cut up."""
        total = torch.zeros((), device=self.setup.accelerator.device)
        for batch in batches:
            self.control.listen()
            loss = self._forward(batch, trained)
            self.phase("backward")
            self.setup.accelerator.backward(loss)
            total += loss.detach()
        return float(total)

    def _forward(self, batch: Batch, trained: int) -> torch.Tensor:
        self.phase("forward")
        with self.setup.autocast():
            return self.setup.task.loss_sum(batch) / max(1, trained)

    def _updates_early(self, optimizer: torch.optim.Optimizer) -> EarlyUpdates | None:
        if not updates_early(self.setup.recipe) or self.setup.accelerator.scaler is not None:
            return None
        return EarlyUpdates(self._weights, optimizer, self._begin_updating)

    def _begin_updating(self) -> None:
        self._updating = True

    def _clip(self) -> float:
        limit = self.setup.recipe.training.max_grad_norm or math.inf
        return float(self.setup.accelerator.clip_grad_norm_(self._weights, limit))

    def _forget_scaling(self) -> None:
        """The scaler takes gradients for unscaled already until it is updated."""
        scaler = self.setup.accelerator.scaler
        if scaler is not None:
            scaler.scale(torch.zeros((), device=self.setup.accelerator.device))
            scaler.update(scaler.get_scale())
