"""What was reckoned beside what was measured, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from studio.ui import format as say
from studio.ui.pages.new_run.fit.words import COLORS, words_of
from studio.ui.widgets import clear, column, label

RIGHT = Qt.AlignmentFlag.AlignRight
BEYOND = 1 << 20
"""A part smaller than this in both columns isn't shown."""


class MeasureTable(QWidget):
    """A line a part, the peak below, and a sentence about time and calibration."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(24)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(0, 1)
        self.words = label("", "sub", wrap=True)
        self.setLayout(column(self._grid, self.words, spacing=12))

    def show_result(self, result: Mapping[str, Any]) -> None:
        """Show what a measurement finished with (see client.actions.measure)."""
        clear(self._grid)
        for place, title in enumerate(("", "Estimated", "Measured")):
            self._put(0, place, label(title, "mute"))
        lines = rows_of(result)
        for line, (name, reckoned, found) in enumerate(lines, start=1):
            kind = "b" if line == len(lines) else "sub"
            self._put(line, 0, label(name, kind))
            self._put(line, 1, label(_said(reckoned), kind))
            self._put(line, 2, label(_said(found), kind))
        self.words.setText(sentence_of(result))
        self.setAccessibleName(f"Measured. {self.words.text()}")

    def _put(self, line: int, place: int, words: QLabel) -> None:
        if place:
            words.setAlignment(RIGHT)
        self._grid.addWidget(words, line, place)


def rows_of(result: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """(name, bytes reckoned, bytes measured) of each part worth a line; the peak last."""
    parts, expected = result.get("parts") or {}, result.get("expected_parts") or {}
    lines = [
        (words_of(name).title, expected.get(name, 0), parts.get(name, 0))
        for name in COLORS
        if name != "context" and max(expected.get(name, 0), parts.get(name, 0)) >= BEYOND
    ]
    return [*lines, ("At the peak", result.get("expected_bytes") or 0, result["peak_bytes"])]


def sentence_of(result: Mapping[str, Any]) -> str:
    """Time and calibration in words."""
    said = []
    if seconds := result.get("seconds"):
        step = f"{seconds:.2f} s" if seconds < 10 else say.duration(seconds)
        speed = say.count(result.get("tokens_per_second") or 0)
        said.append(f"A step of the longest rows took {step}: {speed} tokens a second.")
    if ratio := result.get("ratio"):
        said.append(f"Measured {ratio:.2f} times the estimate; it counts for the next ones here.")
    if result.get("rescued"):
        said.append("Memory ran out with these settings, and the engine made the run smaller.")
    return " ".join(said)


def _said(count: int) -> str:
    return say.size(count) if count else "\N{EN DASH}"
