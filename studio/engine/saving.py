"""When a run's checkpoints are written, and whether the disk has room for the next one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import torch

from studio.core import events
from studio.core.disk import SPARE_BYTES, size
from studio.core.errors import StudioError
from studio.engine import checkpoint, failures, rescue
from studio.engine.checkpoint import Checkpoints, Progress
from studio.engine.job import Context
from studio.engine.learner import Learner
from studio.library import disk
from studio.library.files import sync_file


class NoRoomError(StudioError):
    """The disk took no more; the checkpoint before stands."""


class Saving:
    """The checkpoints of a run in training.

    The work that a crash can cost is bounded by the recipe's minutes: a checkpoint is written
    before the step or the batch of an evaluation that would end beyond them. Between its steps
    alone is a run at a place it can go on from, so a step that takes longer than the bound is
    the bound.
    """

    def __init__(self, context: Context, learner: Learner) -> None:
        training = learner.setup.recipe.training
        self.checkpoints = Checkpoints(context.folder.checkpoints, training.keep_checkpoints)
        self._context = context
        self._learner = learner
        self._minutes = training.save_every_minutes
        self._keeps_best = training.keep_best and len(learner.setup.eval_rows) > 0
        self._at = time.monotonic()
        self._last: tuple[Progress, Path] | None = None
        self._step_seconds = 0.0
        self._next_bytes = 0
        self._measured = False

    def began(self, progress: Progress, path: Path) -> None:
        """The run stands where this checkpoint is: nothing is at risk."""
        self._last, self._at = (msgspec.structs.replace(progress), path), time.monotonic()

    def after_step(self, seconds: float) -> None:
        """Hear how long a step took; after the first the optimizer's states are there."""
        self._step_seconds = seconds
        if not self._measured:
            self.measure()
            self._measured = True

    def measure(self) -> None:
        """See how large the next checkpoint will be, with the best weights beside it."""
        weights = _bytes(checkpoint.trainable(self._learner.setup.model).values())
        states = _bytes(part.state_dict() for part in self._learner.parts.values())
        self._next_bytes = weights * (2 if self._keeps_best else 1) + states

    def due(self) -> bool:
        """Whether the next step would end later than the recipe wants a checkpoint."""
        return time.monotonic() + self._step_seconds - self._at > 60 * self._minutes

    def saved(self, progress: Progress) -> Path | None:
        """The checkpoint of just this moment, where it is written already."""
        if self._last is None or self._last[0] != progress or not self._last[1].is_dir():
            return None
        return self._last[1]

    def write(self, progress: Progress) -> Path:
        """Write a checkpoint of this moment, once the log up to it is safe on the disk: after a
        power cut the curve has no gap. Where there is no room for it beside the others, all but
        the newest of them go.

        Raises NoRoomError where there still is none: the newest then stands as it was.
        """
        ready, parts = self._learner.setup, self._learner.parts
        try:
            sync_file(self._context.folder.events)
            path = self._within_memory(
                lambda: self.checkpoints.save(ready.model, parts, progress), progress
            )
        except Exception as error:
            if not failures.disk_full(error):
                raise
            if self.checkpoints.keep_newest_alone(progress):
                return self.write(progress)
            raise self._no_room(progress.step) from error
        self.began(progress, path)
        return path

    def save(self, progress: Progress) -> Path:
        """The same, and say so."""
        start = time.monotonic()
        path = self.write(progress)
        self._context.channel.emit(
            events.Saved(
                step=progress.step,
                path=str(path),
                bytes=checkpoint.size(path),
                seconds=time.monotonic() - start,
            )
        )
        return path

    def write_best(self, progress: Progress) -> None:
        """Keep these weights as the best so far."""
        model = self._learner.setup.model
        self._within_memory(lambda: self.checkpoints.save_best(model, progress), progress)

    def short_of_room(self) -> str:
        """Why the run should pause while it can still be saved; empty where there is room."""
        free = disk.free_bytes(self.checkpoints.folder)
        if free >= self._next_bytes + SPARE_BYTES:
            return ""
        return (
            f"The disk has {size(free)} left, and the next checkpoint takes "
            f"{size(self._next_bytes)}: paused with everything saved. Free some space on the disk "
            f"of “{self._context.home.root}”, then resume."
        )

    def _within_memory(self, save: Callable[[], Path], progress: Progress) -> Path:
        while (path := rescue.within_memory(save)) is None:
            self._learner.make_room("saving", progress.step)
        return path

    def _no_room(self, step: int) -> NoRoomError:
        newest, _ = self.checkpoints.newest()
        stands = "nothing was learnt yet"
        if newest is not None:
            before = checkpoint.step_of(newest)
            again = "1 step" if step - before == 1 else f"{step - before} steps"
            stands = f"the one of step {before} stands, and resuming repeats {again}"
        return NoRoomError(
            "Disk is full",
            f"There is no room for the checkpoint of step {step}; {stands}.",
            f"Free at least {size(self._next_bytes + SPARE_BYTES)} on the disk of "
            f"“{self._context.home.root}”, then resume.",
        )


def _bytes(found: object) -> int:
    """Bytes of the tensors in nested dicts, lists and the like."""
    if isinstance(found, torch.Tensor):
        return found.numel() * found.element_size()
    if isinstance(found, dict):
        return _bytes(found.values())
    if isinstance(found, Iterable) and not isinstance(found, str | bytes):
        return sum(_bytes(item) for item in found)
    return 0
