"""Real steps of the longest batch: what a run takes at most, measured instead of estimated."""

from __future__ import annotations

import os
import time

from studio.core import events
from studio.core.commands import Measure
from studio.engine import memory, setup
from studio.engine.control import CancelledByUserError, Control
from studio.engine.data import Row
from studio.engine.job import Context
from studio.engine.learner import Learner
from studio.engine.rescue import HalfUpdatedError
from studio.engine.setup import Setup


def run(context: Context) -> None:
    """Take the job's number of steps with the longest rows, say the peak, keep nothing."""
    assert isinstance(context.job, Measure)
    context.channel.emit(events.Started(pid=os.getpid(), total_steps=context.job.steps))
    control = Control(context.channel)
    try:
        ready = setup.make(context, control)
        context.channel.emit(events.Finished(result=_measure(context, ready, control)))
    except CancelledByUserError:
        context.channel.emit(events.Cancelled())


def _measure(context: Context, ready: Setup, control: Control) -> dict[str, object]:
    assert isinstance(context.job, Measure)
    steps = context.job.steps
    learner = Learner(context, ready, steps, control)
    rows = longest_rows(ready)
    memory.forget_peak()
    tokens, start = 0, time.perf_counter()
    for done in range(steps):
        context.channel.stage("Measuring the longest batch", done / steps)
        tokens += _step(learner, rows)
    seconds = (time.perf_counter() - start) / steps
    return {"peak_bytes": memory.peak(), "seconds": seconds, "tokens": tokens // steps}


def _step(learner: Learner, rows: list[Row]) -> int:
    """Tokens of one step; what a step that ran out of memory left of the weights doesn't matter."""
    while True:
        try:
            return learner.step(rows).tokens
        except HalfUpdatedError:
            memory.forget_peak()


def longest_rows(ready: Setup) -> list[Row]:
    """The rows of the heaviest step that the data allows."""
    order = ready.train_rows.lengths.argsort()[::-1][: ready.recipe.training.batch_size]
    return [ready.train_rows[int(index)] for index in order]
