"""A run, from top to bottom in the order it happens."""

from __future__ import annotations

import gc
import os
import time

import msgspec

from studio.core import events
from studio.core.commands import Train
from studio.core.events import finite
from studio.core.watchdog import Trouble
from studio.engine import (
    chance,
    evaluate,
    failures,
    memory,
    optimizers,
    rescue,
    save,
    schedule,
    setup,
    speed,
    spill,
    trouble,
)
from studio.engine.calibrate import Witness
from studio.engine.checkpoint import Checkpoints, Progress
from studio.engine.compiling import Compiling
from studio.engine.control import CancelledByUserError, Control
from studio.engine.data import Steps
from studio.engine.held_out import BrokenOffError, HeldOut
from studio.engine.job import Context
from studio.engine.learner import Learner, StepResult
from studio.engine.saving import NoRoomError, Saving
from studio.engine.setup import Setup
from studio.library import jobs


def run(context: Context) -> None:
    """Train the run of this folder, and say how it ended."""
    _say_taken_up(context)
    save.clear_up(context)
    if (result := save.remembered(context.folder)) is not None:
        _finish(context, result)
        return
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
    witness = Witness()
    training = Training(context, setup.make(context, control), control, witness)
    training.begin()
    gc.freeze()  # the libraries' million objects need not be looked through again and again
    try:
        training.learn()
    finally:
        gc.unfreeze()
    training.end()


class Training:
    """One run while an engine works on it."""

    def __init__(self, context: Context, ready: Setup, control: Control, witness: Witness) -> None:
        self.channel = context.channel
        self.witness = witness
        self.context = context
        self.control = control
        self.training = ready.recipe.training
        self.rows = ready.train_rows
        self.steps = Steps.plan(len(self.rows), self.training)
        self.learner = Learner(context, ready, self.steps.total, control)
        self.saving = Saving(context, self.learner)
        self.held_out = HeldOut(context, self.learner, self.saving)
        self.progress = Progress(evaluated_step=0)
        self.compiling = Compiling(context, self.learner, self.steps.total, control)
        self.speed = speed.Since(self.progress)
        self.spill = spill.watch(context.channel, ready.accelerator.device)

    @property
    def ready(self) -> Setup:
        """The setup as it is now: the learner makes micro-batches smaller when memory is short."""
        return self.learner.setup

    def begin(self) -> None:
        """Go on from the newest whole checkpoint where there is one, or write the first; say what
        was decided."""
        if not self._resume():
            self.saving.write(self.progress)
        self.saving.measure()
        self.compiling.begin(self.progress.step)
        self.speed = speed.Since(self.progress)
        self.witness.began(self.ready, self.steps.epoch(self.progress.step))
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
        self._look()
        while self._going_on():
            if self._short_of_disk() or not self._step():
                continue
            self._look()
            self.control.listen()
            if self.control.take_sample():
                self._sample()
            saving = self.control.take_save() or self._time_to_save()
            if saving or not self._going_on():
                saving = self._sound() and saving
            if saving:
                self.saving.save(self.progress)

    def end(self) -> None:
        """Leave a checkpoint, and unless the run is paused publish what was learnt.

        A run that is stopped before its first step has learnt nothing; it is paused.
        """
        stopped = self.control.stop and self.progress.step < self.steps.total
        path = self._leave_checkpoint()
        if not self._may_publish() or not (self._looked() or self._evaluate()):
            reason = self.control.reason
            self.channel.emit(
                events.Paused(checkpoint=path, step=self.progress.step, reason=reason)
            )
            return
        if not stopped and self.progress.step < self.steps.total:
            self.held_out.say_enough(self.progress)
        self.held_out.take_best(self.progress)
        result = self._publish("stopped" if stopped else "finished")
        if stopped:
            self.channel.emit(events.Finished(result=result, stopped=True))
            return
        save.remember(self.context.folder, result)
        _finish(self.context, result)

    def go_back(self, before: int | None = None) -> int | None:
        """Put model, optimizer, schedule, random numbers and progress back in place to the newest
        whole checkpoint, or to the newest of a step under `before`; newer ones are deleted.

        Returns its step; None where there is no such checkpoint, and nothing was changed. A run
        writes one before its first step, so there is one unless the disk took it.
        """
        path, damaged = self.saving.checkpoints.newest(before)
        for name in damaged:
            self.channel.note(f"The checkpoint {name} is damaged and was passed over.", "warning")
        if path is None:
            return None
        peak, learner = self.progress.peak_bytes, self.learner
        learner.optimizer.zero_grad()
        self.progress = self.saving.checkpoints.restore(path, self.ready.model, learner.parts)
        optimizers.page_again(learner.optimizer.optimizer)
        self.progress.peak_bytes = max(peak, self.progress.peak_bytes)
        self.saving.checkpoints.drop_after(path)
        self.saving.began(self.progress, path)
        learner.keep_rate()
        return self.progress.step

    def _resume(self) -> bool:
        """Whether there was something to go on from. Nothing is begun anew beside a checkpoint."""
        job = self.context.job
        step = self.go_back()
        if step is not None:
            self.channel.note(f"Resumed from step {step}.")
        elif isinstance(job, Train) and job.resume:
            self.channel.note("There is no checkpoint to resume from; the run begins anew.")
        return step is not None

    def _over(self) -> bool:
        """Whether there is nothing left to learn."""
        return self.progress.step >= self.steps.total or self.held_out.enough(self.progress)

    def _going_on(self) -> bool:
        return not (self._over() or self.control.leaving)

    def _looked(self) -> bool:
        """Whether the held-out rows were looked at after the last step."""
        return self.progress.evaluated_step == self.progress.step

    def _may_publish(self) -> bool:
        """Whether the run may end now: a pause leaves what takes more than a moment for later."""
        if self.control.pause:
            return self._over() and self._looked()
        return not self.control.stop or self.progress.step > 0

    def _step(self) -> bool:
        """One step; False where the run had to go back instead."""
        start = time.perf_counter()
        chosen = [self.rows[index] for index in self.steps.of(self.progress.step)]
        try:
            with self.compiling.at_work(self.progress.step):
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
        self.saving.after_step(seconds)
        self.compiling.hear(self.progress.step, seconds)
        if self.spill:
            self.spill.hear(seconds, result.tokens)
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
            self.saving.checkpoints.drop_from(wrong.since)
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
        held = memory.held()
        most = held.get("vram_bytes") or held["memory_bytes"] or 0
        self.progress.peak_bytes = max(self.progress.peak_bytes, int(most))
        self.channel.emit(
            events.Step(
                step=self.progress.step,
                metrics=metrics | held,
                tokens=self.progress.tokens,
                seconds=self.progress.seconds,
                epoch=self.steps.epoch(self.progress.step),
            )
        )

    def _look(self) -> None:
        """Evaluate and answer the prompts where that is due after this step; a run that was
        paused or killed before it may owe it from before."""
        step = self.progress.step
        due = schedule.evaluate_now(step, self.steps.total, self.training.eval_every)
        if step and due and not self._looked() and self._evaluate():
            self._sample()

    def _evaluate(self) -> bool:
        """Look at the held-out rows; False where a pause came first."""
        return self.held_out.look(self.progress, self._between_batches)

    def _between_batches(self) -> None:
        self.control.listen()
        if self.control.pause:
            raise BrokenOffError
        if self._time_to_save() and not trouble.in_weights(self.ready.model, self.progress.step):
            self.saving.save(self.progress)

    def _sample(self) -> None:
        if not self.ready.recipe.sample_prompts:
            return
        self.channel.stage("Answering the sample prompts")
        with chance.untouched():
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
        new = self.saving.saved(self.progress) is None
        return new and self.saving.due() and not self.learner.watchdog.uneasy

    def _short_of_disk(self) -> bool:
        """Whether the run has to pause while there still is room to save it, and say so."""
        text = self.saving.short_of_room()
        if not text or not self._sound():
            return False
        self.channel.note(text, "warning")
        self.control.pause_for("disk")
        return True

    def _leave_checkpoint(self) -> str:
        """Save where the last checkpoint isn't of just this moment; its path."""
        try:
            return str(self.saving.saved(self.progress) or self.saving.save(self.progress))
        except NoRoomError:
            # A run that is done can still be published: an adapter takes less room.
            if self.control.leaving:
                raise
            return ""

    def _publish(self, state: str) -> dict[str, object]:
        progress, name = self.progress, self.context.folder.path.name
        trouble.refuse_to_publish(self.ready.model, self.learner.watchdog, progress.step)
        self.witness.testify(self.context, self.ready, self.steps.epoch(progress.step))
        self.speed.remember(self.context, self.ready, progress)
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


def _finish(context: Context, result: dict[str, object]) -> None:
    """Nothing is left to resume; whoever dies in between says the same result when resumed."""
    Checkpoints(context.folder.checkpoints).discard()
    context.channel.emit(events.Finished(result=result))


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
