"""What a training step holds besides weights, adapter and optimizer, at each of its moments.

The layers are replayed on a tape (tape.py), each kind of layer once; the step is then walked
through from the loss down to the embeddings, because what is kept for the backward pass shrinks
while the gradients of weights grow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import msgspec

from studio.core.sizing import logits
from studio.core.sizing.decoder import Layer
from studio.core.sizing.offloading import host_bytes
from studio.core.sizing.passing import update_bytes
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes
from studio.core.sizing.tape import ACTIVATIONS, ATTENTION, LOGITS, Tape

TEMPORARIES, GRADIENTS = "temporaries", "gradients"


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes by part at a moment of the step, above weights, adapter and optimizer states.

    "temporaries" are gradients on their way and what operations need while they run; "gradients"
    those of weights that are there by then.
    """

    phase: str
    parts: dict[str, int]

    @property
    def total(self) -> int:
        """All parts."""
        return sum(self.parts.values())


class Run(msgspec.Struct, frozen=True):
    """One layer: what it keeps by part, the most above that in its backward pass, the bytes of
    its weights' gradients, and the sizes of what it keeps in system memory."""

    kept: dict[str, int]
    hump: int
    gradients: int
    away: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """All that it keeps."""
        return sum(self.kept.values())


@lru_cache(maxsize=512)
def moments(shapes: Shapes, plan: Plan) -> tuple[Moment, ...]:
    """The step's moments that may be its highest."""
    return _Step(shapes, plan).moments()


@lru_cache(maxsize=512)
def evaluation(shapes: Shapes, plan: Plan) -> Moment:
    """A micro-batch without gradients: one layer's widest values, then a loss."""
    stream = _stream(plan)
    residual = plan.tokens * shapes.hidden * stream
    wide = max(shapes.intermediate, shapes.experts_per_token * shapes.expert_intermediate)
    layer = residual + plan.tokens * 3 * wide * plan.compute_bytes
    lost = logits.evaluation(shapes, plan)
    parts = {ACTIVATIONS: residual, TEMPORARIES: layer}
    if lost > layer:
        parts = {ACTIVATIONS: 2 * residual, LOGITS: lost}
    return Moment(phase="evaluation", parts=parts)


@lru_cache(maxsize=512)
def offloaded_bytes(shapes: Shapes, plan: Plan) -> int:
    """System memory for what is kept there between a micro-batch's forward and backward pass."""
    away = _Step(shapes, plan).away() if plan.offload else ()
    return sum(host_bytes(size, plan.on_gpu) for size in away)


def _stream(plan: Plan) -> int:
    """Bytes of a value in the residual stream: that of the weights it comes from."""
    return plan.stream_bytes


class _Step:
    """A micro-batch forward and backward."""

    def __init__(self, shapes: Shapes, plan: Plan) -> None:
        self._shapes, self._plan = shapes, plan
        self._stream = _stream(plan)
        self._input = plan.tokens * shapes.hidden * self._stream
        self._moved = plan.checkpointing and 0 < plan.offload <= self._input
        self._layers = self._runs()
        self._tail = logits.Tail(shapes, plan, self._stream, update(plan))

    def moments(self) -> tuple[Moment, ...]:
        """From the loss down to the embeddings."""
        kept = self._kept()
        found = [self._loss("forward", kept), self._loss("backward", kept)]
        gradients = self._waiting() if self._plan.immediate else self._tail.gradients
        before = self._all_gradients() if self._plan.accumulating else 0
        inputs = 0 if self._moved else self._input
        for place in range(len(self._layers) - 1, -1, -1):
            run = self._layers[place]
            now = before or gradients
            held = _added(kept, run.kept) if self._plan.checkpointing else kept
            found.append(self._moment(held, run.hump, now))
            gradients += 0 if self._plan.immediate else run.gradients
            kept = _less(kept, inputs if self._plan.checkpointing else run.kept)
        if self._plan.full:
            found.append(self._embeddings(before or gradients))
        return tuple(found)

    def away(self) -> list[int]:
        """The sizes of what is in system memory after the forward pass."""
        found = [size for run in self._layers for size in run.away]
        return [*found, *self._tail.away] + [self._input] * (len(self._layers) * self._moved)

    def _loss(self, phase: str, kept: dict[str, int]) -> Moment:
        tail = self._tail
        most = tail.forward if phase == "forward" else tail.backward
        parts = _added(kept, tail.kept)
        parts[LOGITS] = parts.get(LOGITS, 0) + max(0, most - sum(tail.kept.values()))
        if phase == "forward" and (self._plan.checkpointing or self._plan.offload):
            parts[TEMPORARIES] = self._copies()
        gradients = self._all_gradients() if self._plan.accumulating else 0
        return Moment(phase=phase, parts=parts | {GRADIENTS: gradients})

    def _moment(self, kept: dict[str, int], hump: int, gradients: int) -> Moment:
        parts = kept | {TEMPORARIES: hump, GRADIENTS: gradients}
        return Moment(phase="backward", parts=parts)

    def _embeddings(self, gradients: int) -> Moment:
        """The embeddings' gradient is as large as they are; a tied head's waits beside it, and
        their sum is a third one (torch, input_buffer.cpp)."""
        size = self._shapes.vocabulary * self._shapes.hidden * self._plan.weight_bytes
        updated = update_bytes(self._plan, size) if self._plan.immediate else 0
        works = max(size * (1 + self._shapes.tied), updated - size * self._shapes.tied)
        return self._moment({ACTIVATIONS: self._input}, works, gradients)

    def _waiting(self) -> int:
        """A tied head's gradient, which waits for that of the embeddings."""
        tied = self._shapes.tied and self._plan.full
        return self._shapes.vocabulary * self._shapes.hidden * self._plan.weight_bytes * tied

    def _kept(self) -> dict[str, int]:
        """What all layers leave behind; with checkpointing their inputs."""
        if self._plan.checkpointing:
            return {ACTIVATIONS: 0 if self._moved else self._input * len(self._layers)}
        return _added(*(run.kept for run in self._layers))

    def _all_gradients(self) -> int:
        total = self._tail.gradients + sum(run.gradients for run in self._layers)
        if self._plan.full and not self._shapes.tied:
            total += self._shapes.vocabulary * self._shapes.hidden * self._plan.weight_bytes
        return total

    def _copies(self) -> int:
        """Narrow copies of weights that learn, which autocast holds until the loss is there."""
        plan = self._plan
        if not (plan.full and plan.autocast and plan.weight_bytes != plan.compute_bytes):
            return 0
        return self._shapes.linear * plan.compute_bytes

    def _runs(self) -> list[Run]:
        """Every layer's; equal layers are replayed once. The first has no gradient to pass on
        where the embeddings don't learn."""
        shapes = self._shapes
        sparse = shapes.layers - shapes.sparse_layers
        windows = shapes.windows or (0,) * shapes.layers
        known: dict[tuple[bool, bool, bool], Run] = {}
        found = []
        for place, window in enumerate(windows):
            masked = 0 < window < self._plan.length
            kind = (masked, place >= sparse, place == 0 and not self._plan.full)
            if kind not in known:
                known[kind] = self._replay(window, kind[1], kind[2])
            found.append(known[kind])
        return found

    def _replay(self, window: int, sparse: bool, first: bool) -> Run:
        plan = self._plan
        tape = Tape(offload=0 if plan.checkpointing else plan.offload)
        value = tape.given(self._input, self._stream, needs=not first)
        out = Layer(self._shapes, plan, window, sparse).onto(tape, value)
        kept = dict(tape.kept)
        twice = plan.checkpointing and not self._moved
        if twice and value.storage is not None and value.storage.kept:
            kept = _less(kept, value.size)
        if not out.needs:
            return Run(kept, 0, 0)
        held, away = sum(tape.kept.values()), tuple(tape.away)
        hump = tape.backward(out, plan.accumulating, update(plan)) - held
        return Run(kept, hump, tape.gradients, away)


def update(plan: Plan) -> Callable[[int], int] | None:
    """What a weight's update needs in the backward pass; None where it comes behind that."""
    return partial(update_bytes, plan) if plan.immediate else None


def _added(*several: dict[str, int]) -> dict[str, int]:
    return {
        part: sum(one.get(part, 0) for one in several) for part in (ACTIVATIONS, ATTENTION, LOGITS)
    }


def _less(kept: dict[str, int], by: dict[str, int] | int) -> dict[str, int]:
    less = {ACTIVATIONS: by} if isinstance(by, int) else by
    return {part: size - less.get(part, 0) for part, size in kept.items()}
