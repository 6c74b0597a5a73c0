"""Real steps of the longest batch: what a run takes at most, measured instead of estimated."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from studio.core import events
from studio.core import memory as arithmetic
from studio.core.commands import Measure
from studio.core.errors import StudioError
from studio.engine import calibrate, failures, memory, peaks, setup, speed
from studio.engine.checkpoint import Checkpoints, Progress
from studio.engine.control import CancelledByUserError, Control
from studio.engine.data import Row, Rows
from studio.engine.job import Context
from studio.engine.learner import Learner
from studio.engine.measured import Measured, parts_of
from studio.engine.peaks import Peaks
from studio.engine.rescue import NO_ROOM, HalfUpdatedError
from studio.engine.setup import Setup
from studio.engine.tensors import Timeline
from studio.library import models, runs

# More micro-batches than these only repeat what they hold.
MOST_MICRO_BATCHES = 4


def run(context: Context) -> None:
    """Take the job's number of steps with the longest rows after one that isn't timed, say the
    peaks, remember their ratio to the arithmetic, keep nothing else."""
    assert isinstance(context.job, Measure)
    context.channel.emit(events.Started(pid=os.getpid(), total_steps=context.job.steps))
    watched = peaks.watch()
    try:
        watched.begin("load")
        result = _Measuring(context, watched).run()
        context.channel.emit(events.Finished(result=result))
    except CancelledByUserError:
        context.channel.emit(events.Cancelled())
    except Exception as error:
        if failures.out_of_memory(error) or _said_so(error):
            raise _no_room(context) from error
        raise
    finally:
        watched.end()


def _said_so(error: Exception) -> bool:
    """Whether the learner gave up with words for a run that could be resumed."""
    return isinstance(error, StudioError) and error.title == NO_ROOM


def _no_room(context: Context) -> StudioError:
    """It doesn't fit, with the arithmetic's numbers and what would help most."""
    recipe = runs.recipe_of(context.folder.path)
    facts = models.inspect(models.resolve(context.home, recipe.model))
    longest = Rows.open(context.folder.data / "train.arrow").longest
    memory.free()
    found = arithmetic.estimate(recipe, facts, memory.machine(context.home), longest)
    numbers = (found.expected_bytes, found.needed_bytes, found.available_bytes)
    expected, needed, free = (f"{count / arithmetic.GIB:.1f} GB" for count in numbers)
    reckoned = f" By arithmetic it takes {expected}, at most {needed}, and {free} are free."
    helps = " ".join(found.advice[:3]) or "Close other programs, or choose a smaller model."
    return StudioError(
        NO_ROOM,
        f"The longest batch doesn't fit.{reckoned if found.expected_bytes else ''}",
        helps,
    )


class _Measuring:
    """One measurement, from the model's loading to the words about it."""

    def __init__(self, context: Context, watched: Peaks) -> None:
        assert isinstance(context.job, Measure)
        self._context, self._watched, self._steps = context, watched, context.job.steps
        self._control = Control(context.channel)
        self._ready = setup.make(context, self._control)
        self._rows = longest_rows(self._ready)
        self._learner = Learner(context, self._ready, 1 + self._steps, self._control)
        self._heard = watched.begin
        self._gradients = 0
        self._saved = 0
        self._before_forward = 0
        self._learner.phase = self._phase

    def run(self) -> dict[str, Any]:
        """All of it, as the job's result."""
        self._say("Warming up", 0)
        self._step()
        seconds, tokens = self._timed()
        self._say("Measuring an evaluation", self._steps + 1)
        self._evaluate()
        self._say("Measuring what is saved", self._steps + 2)
        self._save()
        self._watched.end()
        timeline = self._timeline()
        rescued = self._learner.setup.decided != self._ready.decided
        found = Measured(
            held=self._watched.held,
            allocated=timeline.most if timeline else self._watched.allocated,
            idle=self._watched.idle,
            gradients=self._gradients,
            activations=_saved_for_backward(timeline) if timeline else self._saved,
        )
        parts = parts_of(found, self._learner)
        compared = calibrate.compare(self._context, self._ready, found.peak, keep=not rescued)
        speed.remember(self._context, self._ready, tokens=tokens, seconds=seconds, rows=self._rows)
        return {
            **found.told(parts),
            **compared,
            "seconds": seconds / self._steps,
            "tokens": tokens // self._steps,
            "tokens_per_second": tokens / seconds,
            "micro_batch_size": self._learner.setup.decided.micro_batch_size,
            "rescued": rescued,
        }

    def _timed(self) -> tuple[float, int]:
        """Seconds and tokens of all timed steps."""
        tokens, start = 0, time.perf_counter()
        for done in range(self._steps):
            self._say("Measuring the longest batch", done + 1)
            tokens += self._step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start, tokens

    def _step(self) -> int:
        """Tokens of one step. What a step that ran out of memory left of the weights doesn't
        matter."""
        while True:
            try:
                return self._learner.step(self._rows).tokens
            except HalfUpdatedError:
                continue

    def _evaluate(self) -> None:
        rows = _longest_held_out(self._learner.setup)
        if len(rows):
            self._heard("evaluation")
            self._learner.held_out_loss(rows, self._control.listen, lambda share: None, 0)

    def _save(self) -> None:
        """Write a checkpoint as a run does, and throw it away."""
        self._control.listen()
        self._heard("save")
        with tempfile.TemporaryDirectory(dir=self._context.folder.path) as folder:
            place = Checkpoints(Path(folder) / "checkpoints")
            place.save(self._learner.setup.model, self._learner.parts, Progress())

    def _timeline(self) -> Timeline | None:
        """Every tensor of one more step, an evaluation and a save; a card counts them itself."""
        if torch.cuda.is_available():
            return None
        self._say("Counting the tensors", self._steps + 3)
        found = Timeline(Measured.held_always(self._learner))
        found.run(self._record)
        return found

    def _record(self, begin: Any) -> None:
        self._heard = begin
        self._step()
        self._evaluate()
        self._save()

    def _phase(self, name: str) -> None:
        """Whoever measures looks at what is there between the parts of a step."""
        if torch.cuda.is_available():
            now = torch.cuda.memory_allocated()
            if name == "forward":
                self._before_forward = now
            elif name == "backward":
                self._saved = max(self._saved, now - self._before_forward)
        if name == "optimizer":
            self._gradients = Measured.gradient_bytes(self._learner)
        self._heard(name)

    def _say(self, text: str, done: int) -> None:
        self._control.listen()
        self._context.channel.stage(text, done / (self._steps + 4))


def longest_rows(ready: Setup) -> list[Row]:
    """The rows of the heaviest step that the data allows; no more of its micro-batches than show
    what a step holds."""
    lengths = ready.train_rows.lengths
    order = lengths.argsort()[::-1][: ready.recipe.training.batch_size]
    room = MOST_MICRO_BATCHES * ready.decided.micro_batch_tokens
    count = 1 + int((lengths[order].cumsum() <= room)[1:].sum())
    return [ready.train_rows[int(index)] for index in order[:count]]


def _longest_held_out(ready: Setup) -> Rows:
    """The first batch of an evaluation: the longest rows that are held out."""
    rows = ready.eval_rows
    count = 2 * max(1, ready.decided.micro_batch_size)
    chosen = [rows[int(index)] for index in rows.lengths.argsort()[::-1][:count]]
    kind = pa.list_(pa.int32())
    return Rows(
        pa.table(
            {
                name: pa.array([getattr(row, name) for row in chosen], kind)
                for name in ("input_ids", "labels")
            }
        )
    )


def _saved_for_backward(timeline: Timeline) -> int:
    """What the first half of a step leaves for the second."""
    began = timeline.began
    return max(0, began.get("backward", 0) - began.get("forward", 0))
