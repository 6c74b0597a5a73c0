"""What a person thinks of an answer: thumbs, and the answer as it should have been."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.core.own_sets import Stars
from studio.ui.icons import icon
from studio.ui.pages.chat.editing import Editing, Entry
from studio.ui.widgets import Button, ToolButton, row


class Thumbs(QWidget):
    """Two thumbs, one of them on at most; pressing the one that is on takes it back."""

    rated = Signal(str)
    """A core.own_sets.Stars."""

    def __init__(self) -> None:
        super().__init__()
        self.up = _Thumb("thumb-up", "Good answer: collect it as a row")
        self.down = _Thumb("thumb-down", "Bad answer")
        self.up.clicked.connect(lambda on: self.rated.emit("up" if on else ""))
        self.down.clicked.connect(lambda on: self.rated.emit("down" if on else ""))
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addWidget(self.up)
        box.addWidget(self.down)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_rating(self, rating: Stars) -> None:
        """Show this one. No signal."""
        self.up.setChecked(rating == "up")
        self.down.setChecked(rating == "down")


class _Thumb(ToolButton):
    def __init__(self, icon_name: str, name: str) -> None:
        super().__init__(icon_name, name)
        self.setCheckable(True)
        self.setFixedSize(24, 24)

    def _draw_icon(self) -> None:
        self.setIcon(icon(self._icon_name, "mute", 16, on_token="accent_text"))


class Correction(Editing):
    """The answer to edit: Ctrl+Enter takes it, Escape leaves it as it was."""

    def __init__(self) -> None:
        entry = Entry(
            "The answer as it should be",
            "Control and Enter takes it, Escape leaves it as it was",
            with_control=True,
        )
        super().__init__(entry, Button("Take this answer", "primary", "check", "Ctrl+Enter"))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 6, 0)
        box.setSpacing(8)
        box.addWidget(self.edit)
        box.addLayout(row(self.take, self.cancel, None, spacing=8))
