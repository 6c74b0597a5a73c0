"""The chosen dataset: its name, what it was recognised as, and how far reading it is."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.core.facts import DatasetReport
from studio.core.recipe import DatasetPart
from studio.library.datasets import SAMPLE
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.widgets import Button, Card, ElidedLabel, Pill, ProgressBar, column, label, row

SURE = 0.8
"""Below this confidence the recognised columns are shown for checking."""


class ChosenDataset(Card):
    """`replace` and `map` are its buttons; `cancelled` gives up reading."""

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__(margin=16, spacing=12)
        self._name = ElidedLabel("", "b")
        self._rows = Pill(tone="soft")
        self._format = Pill()
        self.map = Button("Columns", "ghost")
        self.replace = Button("Replace", "ghost")
        head = row(IconLabel("file", "accent_text", 20), self._name, self._rows, spacing=10)
        head.addStretch(1)
        head.addWidget(self.map)
        head.addWidget(self.replace)
        self._reason = label("", "mute", wrap=True)
        self._bar = ProgressBar("Reading the rows")
        self._doing = label("", "mute")
        cancel = Button("Cancel", "ghost")
        cancel.clicked.connect(self.cancelled)
        self._busy = QWidget()
        self._busy.setLayout(column(self._bar, row(self._doing, None, cancel), spacing=6))
        self._busy.hide()
        about = row(self._format, spacing=10)
        about.addWidget(self._reason, 1)
        self.add(head, about, self._busy)

    def show_dataset(self, part: DatasetPart, report: DatasetReport | None) -> None:
        """Show which dataset it is, and what is known of it so far."""
        sample = part.path == SAMPLE
        self._name.setText("The sample dataset" if sample else Path(part.path).name or part.path)
        self._name.setToolTip(part.path)
        rows = f"{say.count(report.rows)} rows" if report and report.rows else ""
        self._rows.show_as(rows, "soft")
        self._format.show_as(*_recognised(report))
        self._reason.setText(report.reason if report else "")
        self._reason.setVisible(bool(report and report.reason))
        self.map.setVisible(bool(report and report.columns))

    def begin(self) -> None:
        """Reading the rows has begun."""
        self.progress("Reading the rows", None)
        self._busy.show()

    def progress(self, text: str, share: float | None) -> None:
        """How far it is, 0 to 1 where that is known."""
        self._doing.setText(text)
        self._bar.set_value(share)

    def end(self) -> None:
        """Reading the rows has ended."""
        self._busy.hide()
        self._bar.set_value(0.0)


def _recognised(report: DatasetReport | None) -> tuple[str, str]:
    if report is None or not report.format:
        return "", "plain"
    words = f"{report.format}, {say.share(report.confidence)} sure"
    return words[:1].upper() + words[1:], "warn" if report.confidence < SURE else "plain"
