"""What else the run takes: time, disk, system memory, download; only what is known."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.core.costs import Costs
from studio.ui import format as say
from studio.ui.pages.new_run.fit.lines import FactLine
from studio.ui.widgets import Button, column, row

LINES = ("Time", "Disk", "System memory", "Download")


class CostLines(QWidget):
    """A line each; where the time was never measured, a button that leads to measuring it."""

    measure = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.lines = {name: FactLine(name) for name in LINES}
        self.button = Button("Measure it to see the time", "link")
        self.button.clicked.connect(self.measure)
        lead = row(self.button, None, spacing=0)
        self.setLayout(column(*self.lines.values(), lead, spacing=3))

    def show_costs(self, costs: Costs | None, here: bool) -> None:
        """Show what is known; nothing for what isn't. `here`: it could be measured."""
        said = {} if costs is None else sayings(costs)
        for name, line in self.lines.items():
            line.say(*said.get(name, ("", "")))
        wanted = here and costs is not None and "Time" not in said
        if self.button.isHidden() == wanted:
            self.button.setVisible(wanted)


def sayings(costs: Costs) -> dict[str, tuple[str, str]]:
    """(value, how it is made up) for each line that has something to say."""
    found: dict[str, tuple[str, str]] = {}
    if costs.total_seconds:
        found["Time"] = _time(costs)
    if costs.disk_bytes:
        found["Disk"] = say.size(costs.disk_bytes), _disk(costs)
    if any(ram := _system(costs)):
        load, train, merge = map(say.size, ram)
        trained = f", {train} to train with activations there" if costs.ram_offload_bytes else ""
        found["System memory"] = (say.size(max(ram)), f"{load} to load{trained}, {merge} to merge.")
    if costs.download_bytes:
        found["Download"] = (say.size(costs.download_bytes), "Once, before the run starts.")
    return found


def _system(costs: Costs) -> tuple[int, int, int]:
    """System memory for loading, for activations while training, and for merging."""
    load, train, merge = costs.ram_load_bytes, costs.ram_offload_bytes, costs.ram_merge_bytes
    return load or 0, train or 0, merge or 0


def _disk(costs: Costs) -> str:
    said = []
    if costs.checkpoint_bytes:
        each, most = say.size(costs.checkpoint_bytes), say.size(costs.checkpoints_bytes or 0)
        said.append(f"At most, with checkpoints of {each} each ({most} of them together).")
    if costs.merged_bytes:
        said.append(f"A merged model takes {say.size(costs.merged_bytes)} more.")
    said += [f"As GGUF, {kind}: {say.size(size)}." for kind, size in costs.exports_bytes.items()]
    return " ".join(said)


def _time(costs: Costs) -> tuple[str, str]:
    assert costs.total_seconds is not None
    low, high = costs.low_seconds, costs.high_seconds
    about = f"about {say.duration(costs.total_seconds)}"
    if not low or not high:
        return about, "By the speed measured on this machine."
    return about, (
        f"{say.duration(low)} to {say.duration(high)}, by the speed measured on this machine."
    )
