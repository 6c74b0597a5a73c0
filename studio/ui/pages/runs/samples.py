"""What the model in training answers to the fixed prompts, as it learns."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtWidgets import QVBoxLayout

from studio.core import events as ev
from studio.ui import format as say
from studio.ui.widgets import Card, ComboBox, clear, label, row


class Samples(Card):
    """One step's answers at a time; the newest until another step is chosen."""

    def __init__(self) -> None:
        super().__init__(margin=16, spacing=10)
        self._answers: dict[int, list[ev.Sampled]] = {}
        self._shown: int | None = None
        self.step = ComboBox("Step of the samples")
        self.step.activated.connect(self._chosen)
        self._list = QVBoxLayout()
        self._list.setSpacing(14)
        self.add(row(label("Samples", "h2"), None, self.step), self._list)
        self.hide()

    def open(self) -> None:
        """Begin with another run."""
        self._answers.clear()
        self._shown = None
        self.step.clear()
        clear(self._list)
        self.hide()

    def take(self, found: Iterable[ev.AnyEvent]) -> None:
        """Keep the answers among these events; shown by `refresh`."""
        for event in found:
            if isinstance(event, ev.Sampled):
                others = self._answers.setdefault(event.step, [])
                others[:] = [one for one in others if one.prompt != event.prompt] + [event]

    def refresh(self) -> None:
        """Show the newest step, unless an older one was chosen."""
        steps = sorted(self._answers)
        known = [self.step.itemData(index) for index in range(self.step.count())]
        newest = not known or self.step.currentIndex() == len(known) - 1
        for step in steps[len(known) :]:
            self.step.addItem(f"Step {say.count(step)}", step)
        if steps and newest:
            self.step.setCurrentIndex(len(steps) - 1)
            self._show(steps[-1])
        self.setVisible(bool(steps))

    def _chosen(self, index: int) -> None:
        self._show(int(self.step.itemData(index)))

    def _show(self, step: int) -> None:
        answers = self._answers[step]
        if self._shown == step and self._list.count() == len(answers):
            return
        self._shown = step
        clear(self._list)
        for answer in answers:
            entry = QVBoxLayout()
            entry.setSpacing(4)
            entry.addWidget(label(answer.prompt, "mute", wrap=True, selectable=True))
            entry.addWidget(label(answer.text or "(nothing)", "", wrap=True, selectable=True))
            self._list.addLayout(entry)
