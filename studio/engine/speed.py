"""How fast this engine trained, remembered for the times that are told of runs to come."""

from __future__ import annotations

from collections.abc import Iterable

from studio.core.work import Rows
from studio.engine import loss, memory
from studio.engine.checkpoint import Progress
from studio.engine.data import Row
from studio.engine.job import Context
from studio.engine.setup import Setup
from studio.library import speeds

SAMPLED = 256
"""Rows that stand for all: labels of millions needn't be read."""


def remember(
    context: Context,
    ready: Setup,
    *,
    tokens: int,
    seconds: float,
    rows: Iterable[Row] | None = None,
) -> None:
    """Keep what learning from so many tokens took; `rows` are what they were of, all by default.

    Says nothing where that can't be kept: a time for the next run is no reason to fail this one.
    """
    learnt = rows_of(rows if rows is not None else _sample(ready))
    if not learnt.tokens:
        return
    new = speeds.measured(
        ready.recipe,
        ready.facts,
        memory.machine(context.home),
        learnt.times(tokens / learnt.tokens),
        seconds,
        checkpointing=ready.decided.gradient_checkpointing,
        dtype=ready.decided.dtype,
    )
    if new is not None:
        speeds.remember(context.home, new)


class Since:
    """From here on an engine's own steps count, of a run that others may have worked on before."""

    def __init__(self, progress: Progress) -> None:
        self._tokens, self._seconds = progress.tokens, progress.seconds

    def remember(self, context: Context, ready: Setup, progress: Progress) -> None:
        """Keep how fast they were."""
        tokens, seconds = progress.tokens - self._tokens, progress.seconds - self._seconds
        if tokens > 0:
            remember(context, ready, tokens=tokens, seconds=seconds)


def rows_of(rows: Iterable[Row]) -> Rows:
    """The sums that the count of operations goes by."""
    lengths, trained = [], 0
    for row in rows:
        lengths.append(len(row))
        trained += int((row.labels[1:] != loss.IGNORED).sum())
    return Rows(tokens=sum(lengths), trained=trained, squares=sum(length**2 for length in lengths))


def _sample(ready: Setup) -> Iterable[Row]:
    every = max(1, len(ready.train_rows) // SAMPLED)
    return (ready.train_rows[index] for index in range(0, len(ready.train_rows), every))
