"""The curves of one run, from its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from studio.core import events as ev
from studio.ui import format as say
from studio.ui.tables.series import Series, Smoothed

GIB = 1024**3


def smoothing(steps: int) -> float:
    """The weight of the average for a run of so many steps: 0.9, less where that would lag.

    The average looks back over about 1 / (1 - weight) steps, here at most a twentieth of the run.
    """
    return min(0.9, max(0.0, 1 - 20 / steps)) if steps else 0.9


@dataclass(frozen=True)
class Mark:
    """Something that happened to the run after step `x`; `token` is its colour."""

    x: float
    text: str
    token: str


class RunSeries:
    """Everything over steps, memory over minutes of training. A run that was resumed, rescued or
    rolled back goes on where it was taken up: what it had done beyond that is dropped."""

    def __init__(self) -> None:
        self.train = Series()
        self.smooth = Smoothed()
        self.evaluated = Series()
        self.rate = Series()
        self.norm = Series()
        self.speed = Series()
        self.memory = Series()
        self.marks: list[Mark] = []
        self.on_card = False

    def take(self, found: Iterable[ev.AnyEvent]) -> None:
        """Add what these events say; steps are gathered so that each buffer grows once."""
        steps: list[ev.Step] = []
        for event in found:
            if isinstance(event, ev.Step):
                steps.append(event)
            elif isinstance(event, ev.Evaluated):
                self.evaluated.extend([event.step], [event.metrics.get("loss")])
            elif (back := _taken_up_at(event)) is not None:
                self._add(steps)
                steps = []
                self._cut(back)
                self._note(event)
        self._add(steps)

    def _note(self, event: ev.AnyEvent) -> None:
        """What else the event means for the curves."""
        if isinstance(event, ev.Started):
            self.smooth.set_weight(smoothing(event.total_steps))
        elif isinstance(event, ev.Rescued):
            text = f"Memory ran out: micro-batch {event.micro_batch_size} from here"
            self.marks.append(Mark(event.step, text, "c2"))
        elif isinstance(event, ev.RolledBack):
            text = f"Rolled back from step {say.count(event.step)}"
            self.marks.append(Mark(event.to_step, text, "warn"))

    def _add(self, steps: list[ev.Step]) -> None:
        if not steps:
            return
        xs = [float(step.step) for step in steps]
        for series, name in (
            (self.train, "loss"),
            (self.smooth, "loss"),
            (self.rate, "learning_rate"),
            (self.norm, "grad_norm"),
            (self.speed, "tokens_per_second"),
        ):
            series.extend(xs, [step.metrics.get(name) for step in steps])
        self.on_card = steps[-1].metrics.get("vram_bytes") is not None
        used = [
            step.metrics.get("vram_bytes") or step.metrics.get("memory_bytes") for step in steps
        ]
        minutes = [step.seconds / 60 for step in steps]
        self.memory.extend(minutes, [None if each is None else each / GIB for each in used])

    def _cut(self, step: int) -> None:
        self.marks = [mark for mark in self.marks if mark.x <= step]
        kept = len(self.train)
        for series in (
            self.train,
            self.smooth,
            self.evaluated,
            self.rate,
            self.norm,
            self.speed,
        ):
            series.cut(step)
        if len(self.train) < kept:
            at = self.memory.x[len(self.train) - 1] if len(self.train) else -1.0
            self.memory.cut(float(at))


def _taken_up_at(event: ev.AnyEvent) -> int | None:
    """The step behind which the run goes on after this event; None for any other event."""
    match event:
        case ev.Started():
            return event.resumed_from
        case ev.Rescued():
            return event.step
        case ev.RolledBack():
            return event.to_step
    return None
