"""The last line of the Chat page: what the engine does or holds, what was rated, the keys."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from studio.core.events import Ready
from studio.library import gguf_files
from studio.ui import format as say
from studio.ui.widgets import ElidedLabel, label, row


class Foot(QWidget):
    """A line of small print."""

    def __init__(self, collected: QWidget) -> None:
        super().__init__()
        self.status = ElidedLabel("", "mute", Qt.TextElideMode.ElideRight)
        self.keys = label("Enter sends, Shift+Enter starts a line", "mute")
        whole = row(spacing=12)
        whole.addWidget(self.status, 1)
        whole.addWidget(collected)
        whole.addWidget(self.keys)
        self.setLayout(whole)

    def say(self, text: str) -> None:
        """What the engine does now, "" for nothing."""
        self.status.setText(text)

    def say_memory(self, ready: Ready, name: Callable[[str], str]) -> None:
        """What memory everybody took, where it can be seen while nothing else is."""
        alone = gguf_files.names_file(ready.model)
        held = "By llama.cpp," if alone else "Base"
        parts = [f"{held} {say.size(ready.base_bytes)}"] if ready.base_bytes else []
        for side, size in ready.own_bytes.items():
            how = f"+{say.size(size)}" if size else "added at every layer (slower)"
            parts.append(f"{name(side)} {how}")
        self.say("  \N{MIDDLE DOT}  ".join(parts))
