"""The four numbers of a run: losses, speed, memory."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.core.facts import Machine
from studio.core.run_state import RunState
from studio.ui import format as say
from studio.ui.tables.run_series import RunSeries
from studio.ui.widgets import StatTile

NONE = "\N{EN DASH}"
LOOK_BACK = 100


class Tiles(QWidget):
    """A row of tiles."""

    def __init__(self) -> None:
        super().__init__()
        self.train = StatTile("Train loss")
        self.evaluated = StatTile("Eval loss")
        self.speed = StatTile("Speed")
        self.memory = StatTile("Memory")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(12)
        for tile in (self.train, self.evaluated, self.speed, self.memory):
            box.addWidget(tile, 1)

    def show_run(self, state: RunState, series: RunSeries, machine: Machine | None) -> None:
        """Show the numbers of now."""
        self.train.show_value(_loss(state.train_loss), _trend(series))
        self.evaluated.show_value(_loss(state.eval_loss), *_best(state))
        speed = state.tokens_per_second
        self.speed.show_value(NONE if speed is None else say.count(speed), "tokens per second")
        self.memory.show_value(*_memory(state, series, machine))


def _loss(value: float | None) -> str:
    return NONE if value is None else say.loss(value)


def _trend(series: RunSeries) -> str:
    """How the smoothed loss moved over the last steps."""
    count = len(series.smooth)
    back = min(LOOK_BACK, count - 1)
    if back < 5:
        return "of the last step"
    change = float(series.smooth.y[-1] - series.smooth.y[-1 - back])
    if change != change:
        return "not a number any more"
    direction = "down" if change < 0 else "up"
    return f"{direction} {say.loss(abs(change))} in {back} steps"


def _best(state: RunState) -> tuple[str, str]:
    if state.eval_loss is None:
        return "after the first evaluation", "mute"
    if state.best_eval_loss is None or state.eval_loss <= state.best_eval_loss:
        return "best so far", "ok"
    return f"best was {say.loss(state.best_eval_loss)}", "mute"


def _memory(state: RunState, series: RunSeries, machine: Machine | None) -> tuple[str, str]:
    if not state.memory_bytes:
        return NONE, "of the engine"
    peak = f"peak {say.size(state.peak_bytes)}"
    cards = machine.gpus if machine else ()
    if series.on_card and cards:
        peak = f"peak {say.size_of(state.peak_bytes, cards[0].total_bytes)}"
    return say.size(state.memory_bytes), f"{peak}, {'GPU' if series.on_card else 'RAM'}"
