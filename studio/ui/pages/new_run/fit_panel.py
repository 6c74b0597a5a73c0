"""The panel beside every step: what the run would take, part by part, against this machine."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core import memory
from studio.core.facts import Machine
from studio.core.memory import Estimate
from studio.core.shapes import shapes_of
from studio.ui import format as say
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.wording import sentence
from studio.ui.theme import theme
from studio.ui.widgets import Card, Pill, ScrollArea, Separator, StackedBar, label, row

WIDTH = 296
PARTS = {
    "weights": ("Weights", "c1"),
    "adapter": ("Adapter", "c2"),
    "gradients": ("Gradients", "c3"),
    "optimizer": ("Optimizer", "c4"),
    "activations": ("Activations", "c5"),
    "logits": ("Logits", "c6"),
    "overhead": ("Overhead", "c7"),
}
FACTS = ("Trains", "Steps", "Tokens per epoch", "Device")
ADVICE = 3
VERDICTS = {
    "fits": ("Fits", "ok"),
    "tight": ("Tight", "warn"),
    "too big": ("Won't fit", "err"),
    "unknown": ("", "plain"),
}


class FitPanel(QWidget):
    """Redraws on every change of the draft."""

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self.setFixedWidth(WIDTH)
        area = ScrollArea((0, 28, 28, 20))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)
        card = Card(margin=18, spacing=9)
        area.body.addWidget(card)
        area.body.addStretch(1)
        self.pill = Pill()
        self.number = label("", "num")
        self.room = label("", "sub")
        self.bar = StackedBar("Memory the run would take, part by part")
        self.note = label("", "mute", wrap=True)
        self._parts = {name: _Line(*about) for name, about in PARTS.items()}
        self._facts = {name: _Line(name) for name in FACTS}
        self._advice = [label("", "mute", wrap=True) for _ in range(ADVICE)]
        card.add(row(label("Will it fit?", "h2"), None, self.pill), 3)
        card.add(row(self.number, self.room, None, spacing=6), 3, self.bar, 3)
        card.add(*self._parts.values(), 3, self.note, 3, Separator(), 3)
        self._less = label("To take less memory", "b")
        card.add(*self._facts.values(), self._less, *self._advice)
        draft.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the draft's estimate as it is now."""
        estimate = self._draft.estimate
        self.pill.show_as(*VERDICTS[estimate.verdict])
        known = estimate.expected_bytes > 0
        self.number.setText(say.size(estimate.expected_bytes) if known else "\N{EN DASH}")
        total = total_bytes(self._draft.machine)
        self.room.setText(f"of {say.whole(total)}" if known and total else "")
        self.note.setText(_note(estimate))
        self._show_parts(estimate)
        said = self._sayings()
        for name, line in self._facts.items():
            line.say(said.get(name, ""))
        texts = [*map(sentence, estimate.advice), *[""] * ADVICE] if known else [""] * ADVICE
        self._less.setVisible(bool(texts[0]))
        for place, text in zip(self._advice, texts, strict=False):
            place.setText(text)
            place.setVisible(bool(text))

    def _show_parts(self, estimate: Estimate) -> None:
        parts = grouped(estimate)
        whole = max(total_bytes(self._draft.machine), estimate.expected_bytes, 1)
        shares = [(size / whole, PARTS[name][1]) for name, size in parts.items()]
        self.bar.set_parts(shares, estimate.available_bytes / whole if estimate.devices else None)
        for name, line in self._parts.items():
            line.say(say.size(parts[name]) if name in parts else "")

    def _sayings(self) -> dict[str, str]:
        draft = self._draft
        found = {"Device": _device(draft.machine)}
        if shapes := shapes_of(draft.model.config) if draft.model else None:
            learnt = memory.trainable(draft.recipe, shapes)
            found["Trains"] = f"{say.parameters(learnt)} parameters"
        if steps := draft.steps():
            found["Steps"] = say.count(steps)
        if draft.report and draft.report.tokens:
            found["Tokens per epoch"] = say.count(draft.report.tokens)
        return found


def grouped(estimate: Estimate) -> dict[str, int]:
    """The parts as the panel names them, without empty ones; slack and context are overhead."""
    found = dict.fromkeys(PARTS, 0)
    for name, size in estimate.parts.items():
        found[name if name in PARTS else "overhead"] += size
    return {name: size for name, size in found.items() if size}


def total_bytes(machine: Machine | None) -> int:
    """Memory of the device a run would use: the first card's, or the system's."""
    if machine is None:
        return 0
    return machine.gpus[0].total_bytes if machine.gpus else machine.ram_total_bytes


def _note(estimate: Estimate) -> str:
    if not estimate.expected_bytes:
        return "Choose a model to see the memory it would take, part by part."
    free = f" {say.size(estimate.available_bytes)} are free." if estimate.devices else ""
    most = say.size(estimate.upper_bytes)
    return f"An estimate, not a measurement: at most {most}.{free}"


def _device(machine: Machine | None) -> str:
    if machine is None:
        return "Looking"
    if not machine.gpus:
        return "Processor"
    return machine.gpus[0].name.removeprefix("NVIDIA ").removeprefix("GeForce ")


class _Line(QWidget):
    """A name and a value; hidden while there is no value. With a colour token: a dot."""

    def __init__(self, title: str, token: str = "") -> None:
        super().__init__()
        self._value = label("", "sub" if token else "b")
        line = row(label(title, "sub"), None, self._value)
        if token:
            line.insertWidget(0, _Dot(token))
        self.setLayout(line)

    def say(self, value: str) -> None:
        """Show `value`; nothing hides the line."""
        self._value.setText(value)
        self.setVisible(bool(value))


class _Dot(QWidget):
    """The colour of one part in the legend."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.setFixedSize(8, 18)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(self._token))
        painter.drawEllipse(0, 5, 8, 8)
