"""Times of day: what people write, and the one form that settings keep."""

from __future__ import annotations

import re

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.ui.widgets import LineEdit, label, restyle, row

_CLOCK = re.compile(r"([01]?\d|2[0-3])(?:[:.h]([0-5]\d))?")


def clock(text: str) -> str | None:
    """ "8", "8:00" or "08.00" as "08:00"; None for what is no time of day."""
    found = _CLOCK.fullmatch(text.strip())
    return f"{int(found[1]):02}:{found[2] or '00'}" if found else None


class HoursEdit(QWidget):
    """From one time of day to another, also over midnight; both empty is always."""

    changed = Signal(str)
    """The hours as "22:00-08:00", or "" for always."""
    wrong = Signal(str)
    """What can't be understood; "" when all can."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = LineEdit("Train from, time of day", placeholder="22:00")
        self.end = LineEdit("Train until, time of day", placeholder="08:00")
        for edit in (self.begin, self.end):
            edit.setFixedWidth(72)
            edit.editingFinished.connect(self._finished)
        self.setLayout(row(self.begin, label("to", "sub"), self.end, spacing=8))
        self.setFocusProxy(self.begin)

    def set_hours(self, hours: str) -> None:
        """Show these hours without a signal."""
        begin, _, end = hours.partition("-")
        self.begin.setText(begin)
        self.end.setText(end)
        self._mark(True, True)

    def _finished(self) -> None:
        texts = (self.begin.text().strip(), self.end.text().strip())
        if not any(texts):
            self._mark(True, True)
            self.wrong.emit("")
            self.changed.emit("")
            return
        times = [clock(text) for text in texts]
        bad = [text for text, time in zip(texts, times, strict=True) if text and time is None]
        self._mark(*(time is not None or not text for text, time in zip(texts, times, strict=True)))
        if bad:
            self.wrong.emit(f"“{bad[0]}” is no time of day. Write 22:00, for example.")
        elif None in times:
            return  # the other one is still to come
        elif times[0] == times[1]:
            self.wrong.emit("These are the same times. Leave both empty to train always.")
        else:
            self.wrong.emit("")
            self.changed.emit(f"{times[0]}-{times[1]}")

    def _mark(self, *right: bool) -> None:
        for edit, good in zip((self.begin, self.end), right, strict=True):
            restyle(edit, "problem", "" if good else "blocks")
