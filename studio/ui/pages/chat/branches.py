"""Which branch of a conversation is shown where it forks, as “2 / 3” between two arrows."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.ui.widgets import ToolButton, label


class Branches(QWidget):
    """Two arrows and where one is; not there while there is one branch alone."""

    switched = Signal(int)
    """-1 for the branch before, 1 for the next."""

    def __init__(self) -> None:
        super().__init__()
        self.back = ToolButton("chevron-left", "Branch before (Alt+Left)")
        self.on = ToolButton("chevron-right", "Next branch (Alt+Right)")
        self.place = label("", "mute")
        self.place.setAlignment(Qt.AlignmentFlag.AlignCenter)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        for part in (self.back, self.place, self.on):
            box.addWidget(part)
        for button, step in ((self.back, -1), (self.on, 1)):
            button.clicked.connect(lambda _=False, by=step: self.switched.emit(by))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.hide()

    def show_place(self, place: int, count: int) -> None:
        """Say that this is branch `place` (from 0) of `count`."""
        self.place.setText(f"{place + 1} / {count}")
        self.setAccessibleName(f"Branch {place + 1} of {count}")
        self.back.setEnabled(place > 0)
        self.on.setEnabled(place < count - 1)
        self.setVisible(count > 1)
