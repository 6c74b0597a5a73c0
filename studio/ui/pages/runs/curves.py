"""The plots of a run: loss, memory, learning rate, gradient norm."""

from __future__ import annotations

from studio.core.facts import Machine
from studio.core.run_state import RunState
from studio.ui import format as say
from studio.ui.tables.run_series import GIB, RunSeries
from studio.ui.widgets import Segmented, row
from studio.ui.widgets.plot import Curve, Plot, PlotCard


class Curves:
    """Four plots of one RunSeries, in two rows: `first` and `second`."""

    def __init__(self) -> None:
        series = RunSeries()
        self.scale = Segmented("Scale of the loss", [("linear", "Linear"), ("log", "Log")])
        self.scale.set_value("linear")
        loss = Plot("Loss by step", "step", say.count)
        self.loss = PlotCard("Loss", loss, self.scale)
        self.loss.add_curve(Curve(series.train, "each step", "c1", faint=True))
        self.loss.add_curve(Curve(series.smooth, "Train", "c1", bold=True))
        self.loss.add_curve(Curve(series.evaluated, "Eval", "c3", bold=True, dots=True))
        memory = Plot("Memory by minutes of training", "minute", _short)
        self.memory = PlotCard("Memory, GB", memory)
        used = Curve(series.memory, "Used", "c2", bold=True, area=True, show=_gigabytes)
        self.memory.add_curve(used)
        rate = Plot("Learning rate by step", "step", say.count, say.rate)
        self.rate = PlotCard("Learning rate", rate, height=150)
        self.rate.add_curve(Curve(series.rate, "Rate", "c5", bold=True, show=say.rate))
        norm = Plot("Gradient norm by step", "step", say.count)
        self.norm = PlotCard("Gradient norm", norm, height=150)
        self.norm.add_curve(Curve(series.norm, "Norm", "c4"))
        self.scale.selected.connect(lambda value: loss.set_log(value == "log"))
        self.first = row(self.loss, self.memory, spacing=12)
        self.second = row(self.rate, self.norm, spacing=12)
        for box in (self.first, self.second):
            box.setStretch(0, 3)
            box.setStretch(1, 2)

    def show_series(self, series: RunSeries) -> None:
        """Draw another run."""
        self.loss.plot.set_series(series.train, series.smooth, series.evaluated)
        self.memory.plot.set_series(series.memory)
        self.rate.plot.set_series(series.rate)
        self.norm.plot.set_series(series.norm)

    def refresh(self, state: RunState, series: RunSeries, machine: Machine | None) -> None:
        """The series grew, or the end came nearer."""
        for card in (self.loss, self.rate, self.norm):
            card.plot.set_x_end(float(state.total_steps))
        self.loss.plot.set_marks(series.marks)
        self.memory.title.setText("GPU memory, GB" if series.on_card else "Memory, GB")
        cards = machine.gpus if machine else ()
        total = cards[0].total_bytes / GIB if cards and series.on_card else None
        self.memory.plot.set_limit(total)


def _short(value: float) -> str:
    return f"{value:.4g}"


def _gigabytes(value: float) -> str:
    return f"{value:.2f} GB"
