"""A run, from top to bottom in the order it happens."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from studio.core import events
from studio.core.commands import Train
from studio.core.events import finite
from studio.core.watchdog import Trouble
from studio.engine import evaluate, failures, memory, rescue, save, schedule, setup, trouble
from studio.engine.checkpoint import Checkpoints, Progress, size
from studio.engine.control import CancelledByUserError, Control
from studio.engine.data import Steps
from studio.engine.job import Context
from studio.engine.learner import Learner, StepResult
from studio.engine.setup import Setup
from studio.library import jobs


def run(context: Context) -> None:
    """Train the run of this folder, and say how it ended."""
    _say_taken_up(context)
    control = Control(context.channel)
    try:
        _train(context, control)
    except CancelledByUserError:
        Checkpoints(context.folder.checkpoints).discard()
        context.channel.emit(events.Cancelled())
    except Exception as error:
        if failures.out_of_memory(error):
            raise rescue.no_room(context, "this run") from error
        raise


def _train(context: Context, control: Control) -> None:
    training = Training(context, setup.make(context, control), control)
    training.begin()
    training.learn()
    training.end()


class Training:
    """One run while an engine works on it."""

    def __init__(self, context: Context, ready: Setup, control: Control) -> None:
        self.channel = context.channel
        self.context = context
        self.control = control
        self.training = ready.recipe.training
        self.rows = ready.train_rows
        self.eval_rows = ready.eval_rows
        self.steps = Steps.plan(len(self.rows), self.training)
        self.learner = Learner(context, ready, self.steps.total, control)
        self.checkpoints = Checkpoints(context.folder.checkpoints)
        self.progress = Progress()
        self.saved_at = time.monotonic()
        self.evaluated_at = -1
        self.enough = False

    @property
    def ready(self) -> Setup:
        """The setup as it is now: the learner makes micro-batches smaller when memory is short."""
        return self.learner.setup

    def begin(self) -> None:
        """Go on from the newest whole checkpoint of a run that is resumed; say what was decided."""
        job = self.context.job
        if not (isinstance(job, Train) and job.resume and self._resume()):
            self._write_checkpoint()
        decided = msgspec.to_builtins(self.ready.decided)
        self.channel.emit(
            events.Started(
                pid=os.getpid(),
                total_steps=self.steps.total,
                epochs=self.steps.epoch(self.steps.total),
                decided=decided,
                resumed_from=self.progress.step,
            )
        )

    def learn(self) -> None:
        """Step after step, until all are done, the user wants it to end or nothing improves."""
        while self._going_on():
            if not self._step():
                continue
            step = self.progress.step
            if schedule.evaluate_now(step, self.steps.total, self.training.eval_every):
                self._evaluate()
                self._sample()
            self.control.listen()
            if self.control.take_sample():
                self._sample()
            saving = self.control.take_save() or self._time_to_save()
            if saving or not self._going_on():
                saving = self._sound() and saving
            if saving:
                self._save()

    def _going_on(self) -> bool:
        done = self.progress.step >= self.steps.total
        return not (done or self.enough or self.control.leaving)

    def end(self) -> None:
        """Leave a checkpoint, and unless the run is paused publish what was learnt.

        A run that is stopped before its first step has learnt nothing; it is paused.
        """
        stopped = self.control.leaving and self.progress.step < self.steps.total
        try:
            path = self._save()
        except Exception as error:
            # A run that is done can still be published: an adapter takes less room.
            if self.control.leaving or not failures.disk_full(error):
                raise
            path = ""
        if stopped and (self.control.pause or self.progress.step == 0):
            self.channel.emit(events.Paused(checkpoint=path, step=self.progress.step))
            return
        if self.evaluated_at != self.progress.step:
            self._evaluate()
        self._take_best()
        result = self._publish("stopped" if stopped else "finished")
        if not stopped:
            self.checkpoints.discard()
        self.channel.emit(events.Finished(result=result, stopped=stopped))

    def go_back(self, before: int | None = None) -> int | None:
        """Put model, optimizer, schedule, random numbers and progress back in place to the newest
        whole checkpoint, or to the newest of a step under `before`; newer ones are deleted.

        Returns its step; None where there is no such checkpoint, and nothing was changed. A run
        writes one before its first step, so there is one unless the disk took it.
        """
        path, damaged = self.checkpoints.newest(before)
        for name in damaged:
            self.channel.note(f"The checkpoint {name} is damaged and was passed over.", "warning")
        if path is None:
            return None
        peak = self.progress.peak_bytes
        self.learner.optimizer.zero_grad()
        self.progress = self.checkpoints.restore(path, self.ready.model, self.learner.parts)
        self.progress.peak_bytes = max(peak, self.progress.peak_bytes)
        self.checkpoints.drop_after(path)
        self.learner.keep_rate()
        return self.progress.step

    def _resume(self) -> bool:
        step = self.go_back()
        if step is None:
            self.channel.note("There is no checkpoint to resume from; the run begins anew.")
            return False
        self.channel.note(f"Resumed from step {step}.")
        return True

    def _step(self) -> bool:
        """One step; False where the run had to go back instead."""
        start = time.perf_counter()
        chosen = [self.rows[index] for index in self.steps.of(self.progress.step)]
        try:
            result = self.learner.step(chosen, self.progress.step)
        except rescue.HalfUpdatedError as error:
            self._put_back(str(error))
            return False
        seconds = time.perf_counter() - start
        self.progress.step += 1
        self.progress.tokens += result.tokens
        self.progress.seconds += seconds
        self.progress.train_loss = finite(result.loss)
        self.progress.peak_bytes = max(self.progress.peak_bytes, memory.peak())
        self._say_step(result, seconds)
        if wrong := self.learner.watchdog.hear(self.progress.step, result):
            self._meet(wrong)
            return False
        return True

    def _put_back(self, where: str) -> None:
        """Weights that are half updated are those of no step."""
        if self.go_back() is None:
            raise rescue.no_room(self.context, where)
        self.learner.say_rescued(where, self.progress.step)

    def _sound(self) -> bool:
        """Whether the weights are worth keeping; where not, the run stops or goes back."""
        broken = trouble.in_weights(self.ready.model, self.progress.step)
        if broken:
            self._meet(broken)
        return broken is None

    def _meet(self, wrong: Trouble) -> None:
        """Stop, or go back to before the trouble with half the learning rate, as the recipe says.

        Either way no checkpoint of a step that went wrong stays.
        """
        step = self.progress.step
        if self.training.on_trouble == "stop" or not self.learner.slow_down():
            self.checkpoints.drop_from(wrong.since)
            raise trouble.as_error(wrong)
        to_step = self.go_back(before=wrong.since)
        if to_step is None:
            raise trouble.as_error(wrong)
        text = f"{wrong.text} The learning rate is halved from here on."
        self.channel.emit(events.RolledBack(step=step, to_step=to_step, text=text))

    def _say_step(self, result: StepResult, seconds: float) -> None:
        metrics = {
            "loss": finite(result.loss),
            "learning_rate": result.learning_rate,
            "grad_norm": finite(result.grad_norm),
            "tokens_per_second": result.tokens / seconds if seconds else None,
        }
        self.channel.emit(
            events.Step(
                step=self.progress.step,
                metrics=metrics | memory.held(),
                tokens=self.progress.tokens,
                seconds=self.progress.seconds,
                epoch=self.steps.epoch(self.progress.step),
            )
        )

    def _evaluate(self) -> None:
        if not len(self.eval_rows):
            return
        progress = self.progress
        loss = self.learner.held_out_loss(
            self.eval_rows, self.control, self._say_evaluating, progress.step
        )
        if loss is None:
            return
        self.evaluated_at = progress.step
        best = math.isfinite(loss) and (progress.best_loss is None or loss < progress.best_loss)
        progress.eval_loss = finite(loss)
        progress.worse_evaluations = 0 if best else progress.worse_evaluations + 1
        if best:
            progress.best_loss, progress.best_step = loss, progress.step
            if self.training.keep_best:
                self._with_room(lambda: self.checkpoints.save_best(self.ready.model, progress))
        self.channel.emit(
            events.Evaluated(step=progress.step, metrics={"loss": finite(loss)}, best=best)
        )
        self._look_whether_enough()

    def _say_evaluating(self, share: float) -> None:
        self.channel.stage("Evaluating", share)

    def _look_whether_enough(self) -> None:
        patience = self.training.early_stopping_patience
        if patience and self.progress.worse_evaluations >= patience:
            self.enough = True
            self.channel.note(
                f"The loss on held-out rows hasn't fallen for {patience} evaluations: "
                f"stopped early at step {self.progress.step}."
            )

    def _sample(self) -> None:
        if not self.ready.recipe.sample_prompts:
            return
        self.channel.stage("Answering the sample prompts")
        answers = rescue.within_memory(lambda: evaluate.answers(self.ready))
        if answers is None:
            self.channel.note(
                "There is not enough free memory for the sample answers; they are left out this "
                "time.",
                "warning",
            )
        for prompt, text in answers or ():
            self.channel.emit(events.Sampled(step=self.progress.step, prompt=prompt, text=text))

    def _time_to_save(self) -> bool:
        """Whether a checkpoint is due; never of a state that looks wrong."""
        due = time.monotonic() - self.saved_at > 60 * self.training.save_every_minutes
        return due and not self.learner.watchdog.uneasy

    def _save(self) -> str:
        start = time.monotonic()
        path = self._write_checkpoint()
        self.channel.emit(
            events.Saved(
                step=self.progress.step,
                path=str(path),
                bytes=size(path),
                seconds=self.saved_at - start,
            )
        )
        return str(path)

    def _write_checkpoint(self) -> Path:
        parts, progress = self.learner.parts, self.progress
        path = self._with_room(lambda: self.checkpoints.save(self.ready.model, parts, progress))
        self.saved_at = time.monotonic()
        return path

    def _with_room(self, save: Callable[[], Path]) -> Path:
        """The path that `save` gives, tried until it finds the memory it needs."""
        while (path := rescue.within_memory(save)) is None:
            self.learner.make_room("saving", self.progress.step)
        return path

    def _take_best(self) -> None:
        progress = self.progress
        if not self.training.keep_best or progress.best_step in (0, progress.step):
            return
        if self.checkpoints.restore_best(self.ready.model, progress):
            progress.eval_loss = progress.best_loss
            self.channel.note(
                f"Kept the weights of step {progress.best_step}, the best on held-out rows."
            )

    def _publish(self, state: str) -> dict[str, object]:
        progress, name = self.progress, self.context.folder.path.name
        trouble.refuse_to_publish(self.ready.model, self.learner.watchdog, progress.step)
        self.channel.stage("Saving what was learnt")
        place = save.publish(self.ready, self.context, self.ready.recipe.name or name, progress)
        return {
            "run": str(self.context.folder.path),
            "state": state,
            "steps": progress.step,
            "train_loss": progress.train_loss,
            "eval_loss": progress.eval_loss,
            **place,
            "tokens_per_second": progress.tokens / progress.seconds if progress.seconds else None,
            "peak_bytes": max(progress.peak_bytes, memory.peak()),
        }


def _say_taken_up(context: Context) -> None:
    """Whoever watches may stop the run from now on; what is decided follows when it is known."""
    before = jobs.state(context.folder.path)
    context.channel.emit(
        events.Started(
            pid=os.getpid(),
            total_steps=before.total_steps,
            epochs=before.epochs,
            resumed_from=before.step,
        )
    )
