"""The rows that are never learnt from: looking at them, and what follows for a run."""

from __future__ import annotations

import math
from collections.abc import Callable

from studio.core import events
from studio.core.events import finite
from studio.engine import chance
from studio.engine.checkpoint import Progress
from studio.engine.job import Context
from studio.engine.learner import Learner
from studio.engine.saving import Saving


class BrokenOffError(Exception):
    """An evaluation was left in its middle, to be taken again by whoever resumes the run."""


class HeldOut:
    """Evaluations of a run. All that they lead to is in `Progress`, so an evaluation that was
    lost with its engine, or broken off, is taken again and changes nothing else."""

    def __init__(self, context: Context, learner: Learner, saving: Saving) -> None:
        self._channel = context.channel
        self._learner = learner
        self._saving = saving
        self._rows = learner.setup.eval_rows
        self._training = learner.setup.recipe.training

    def look(self, progress: Progress, listen: Callable[[], None]) -> bool:
        """Evaluate after this step; False where `listen`, called between batches, broke it off."""
        if len(self._rows):
            try:
                with chance.untouched():
                    loss = self._learner.held_out_loss(
                        self._rows, listen, self._say_share, progress.step
                    )
            except BrokenOffError:
                return False
            if loss is not None:
                self._judge(loss, progress)
        progress.evaluated_step = progress.step
        return True

    def enough(self, progress: Progress) -> bool:
        """Whether the loss hasn't fallen for as many evaluations as the recipe waits for."""
        patience = self._training.early_stopping_patience
        return bool(patience) and progress.worse_evaluations >= patience

    def say_enough(self, progress: Progress) -> None:
        """Say that the run ends early."""
        self._channel.note(
            "The loss on held-out rows hasn't fallen for "
            f"{self._training.early_stopping_patience} evaluations: "
            f"stopped early at step {progress.step}."
        )

    def take_best(self, progress: Progress) -> None:
        """Put the best weights into the model where the recipe wants them and they aren't there."""
        if not self._training.keep_best or progress.best_step in (0, progress.step):
            return
        if self._saving.checkpoints.restore_best(self._learner.setup.model, progress):
            progress.eval_loss = progress.best_loss
            text, severity = "Kept the weights of step {}, the best on held-out rows.", "info"
        else:
            text = "The best weights, those of step {}, are damaged; the last ones are kept."
            severity = "warning"
        self._channel.note(text.format(progress.best_step), severity)

    def _judge(self, loss: float, progress: Progress) -> None:
        best = math.isfinite(loss) and (progress.best_loss is None or loss < progress.best_loss)
        progress.eval_loss = finite(loss)
        progress.worse_evaluations = 0 if best else progress.worse_evaluations + 1
        if best:
            progress.best_loss, progress.best_step = loss, progress.step
            if self._training.keep_best:
                self._saving.write_best(progress)
        self._channel.emit(
            events.Evaluated(step=progress.step, metrics={"loss": finite(loss)}, best=best)
        )

    def _say_share(self, share: float) -> None:
        self._channel.stage("Evaluating", share)
