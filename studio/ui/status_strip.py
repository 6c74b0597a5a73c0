"""The strip at the foot of the side bar: the card (or the processor), and the job under way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.facts import Gpu, Machine
from studio.core.run_state import RunState
from studio.core.wire import JobRow
from studio.ui import format as say
from studio.ui import reasons
from studio.ui.icons import IconLabel
from studio.ui.job_titles import TITLES
from studio.ui.widgets import Card, ElidedLabel, ProgressBar, StackedBar, label, row
from studio.ui.widgets.buttons import Pressable


class StatusStrip(QWidget):
    """Always shows the machine; `opened` says which job was clicked: its kind and folder."""

    opened = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        self._busy = False
        self.job = JobButton()
        self.job.hide()
        self.job.clicked.connect(lambda: self.opened.emit(self.job.kind, self.job.folder))
        self.machine = MachineCard()
        box.addWidget(self.job)
        box.addWidget(self.machine)

    def show_machine(self, machine: Machine) -> None:
        self.machine.show_machine(machine)

    def show_jobs(self, jobs: Sequence[JobRow]) -> None:
        """Show one job; what trains comes before any other."""
        shown = [job for job in jobs if job.kind not in ("chat", "measure")]
        shown.sort(key=lambda job: job.kind != "train")
        self._busy = bool(shown)
        self.job.setVisible(self._busy)
        self.machine.show_engine(shown[0].memory_bytes if shown else 0)
        if shown:
            self.job.show_job(shown[0], len(shown) - 1)

    def show_waiting(self, folder: Path | None, state: RunState) -> None:
        """A run that goes on by itself, while nothing is at work; None: there is none."""
        if self._busy:
            return
        self.job.setVisible(folder is not None)
        if folder is not None:
            self.job.show_waiting(folder, state)


class MachineCard(Card):
    """Name, memory used and total, utilisation, temperature and power of the first card."""

    def __init__(self) -> None:
        super().__init__("strip", margin=12, spacing=8)
        self._name = ElidedLabel("This computer", "b", Qt.TextElideMode.ElideRight)
        self._heat = label("", "mute")
        self._bar = StackedBar("Memory in use", 6)
        self._memory = label("Looking at the hardware", "mute")
        self._load = label("", "mute")
        head = row(IconLabel("chip", "sub", 16), self._name, self._heat, spacing=8)
        head.setStretch(1, 1)
        self._engine = label("", "mute")
        self._engine.hide()
        self.add(head, self._bar, row(self._memory, None, self._load), self._engine)
        self._has_card = False

    def show_machine(self, machine: Machine) -> None:
        """Show the card that runs use, or processor and memory where there is none."""
        self._has_card = bool(machine.gpus)
        self._memory.setToolTip("")
        if machine.gpu:
            self._show_gpu(machine.gpu, len(machine.gpus) - 1)
        else:
            self._show_cpu(machine)
        said = (self._name, self._heat, self._memory, self._load)
        self.setAccessibleName(", ".join(part.text() for part in said if part.text()))

    def show_lost(self, why: str) -> None:
        """The keeper can't be reached: what is shown may be old."""
        self._memory.setText("Not connected, trying again")
        self._memory.setToolTip(why)
        self._load.setText("")

    def show_engine(self, memory_bytes: int) -> None:
        """The engine's own memory, where no card says it; 0 hides it."""
        self._engine.setVisible(memory_bytes > 0 and not self._has_card)
        self._engine.setText(f"Training uses {say.size(memory_bytes)}")

    def _show_gpu(self, gpu: Gpu, others: int) -> None:
        name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
        self._show(name + (f" +{others}" if others else ""), gpu.used_bytes, gpu.total_bytes, "c2")
        self._heat.setText("" if gpu.temperature is None else f"{gpu.temperature} °C")
        load = [] if gpu.utilisation is None else [f"{gpu.utilisation}%"]
        load += [] if gpu.power is None else [f"{gpu.power:.0f} W"]
        self._load.setText(" · ".join(load))

    def _show_cpu(self, machine: Machine) -> None:
        used = machine.ram_total_bytes - machine.ram_free_bytes
        self._show(_short(machine.cpu) or "Processor", used, machine.ram_total_bytes, "c7")
        self._heat.setText("")
        cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
        self._load.setText(cores)

    def _show(self, name: str, used: int, total: int, token: str) -> None:
        self._name.setText(name)
        self._bar.set_parts([(used / total if total else 0.0, token)])
        self._memory.setText(say.size_of(used, total))


def _short(cpu: str) -> str:
    for noise in ("(R)", "(TM)", " CPU", " Processor"):
        cpu = cpu.replace(noise, "")
    return " ".join(cpu.split("@")[0].split())


class JobButton(Pressable):
    """The job under way: name, share done, bar and time left."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("k", "job")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.folder = self.kind = ""
        self._name = ElidedLabel("", "b")
        self._share = label("", "b")
        self._bar = ProgressBar("Progress of the job", 6)
        self._left = label("", "mute")
        self._more = label("", "mute")
        inside = QVBoxLayout(self)
        inside.setContentsMargins(12, 12, 12, 12)
        inside.setSpacing(8)
        head = row(self._name, self._share, spacing=8)
        head.setStretch(0, 1)
        inside.addLayout(head)
        inside.addWidget(self._bar)
        inside.addLayout(row(self._left, None, self._more))
        for child in self.findChildren(QWidget):
            child.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def show_job(self, job: JobRow, others: int) -> None:
        """Show `job`; `others` more are living."""
        self.folder, self.kind = job.folder, job.kind
        name = TITLES.get(job.kind, job.name)
        self._name.setText(name)
        self._share.setText("" if job.share is None else say.share(job.share))
        self._bar.set_value(job.share, "accent")
        left = _left(job)
        self._left.setText(left)
        self._more.setText(f"+{others} more" if others else "")
        self.setAccessibleName(f"Open {name}: {self._share.text()} {left}")

    def show_waiting(self, folder: Path, state: RunState) -> None:
        """Show a run that the studio paused for a while, and how far it got."""
        self.folder, self.kind = str(folder), "train"
        done = state.step / state.total_steps if state.total_steps else 0.0
        self._name.setText(folder.name)
        self._share.setText(say.share(done))
        self._bar.set_value(done, "mute")
        self._left.setText(f"Waiting: {reasons.brief(state.pause_reason)}")
        self._more.setText("")
        self.setAccessibleName(f"Open {folder.name}. {reasons.headline(state)}")


def _left(job: JobRow) -> str:
    if job.state == "ending":
        return "Ending"
    if job.eta_seconds is None:
        return job.stage or "Starting"
    return f"{say.duration(job.eta_seconds)} left"
