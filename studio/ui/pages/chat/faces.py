"""The middle of the Chat page: nobody to talk to, what to ask first, or what was said."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from studio.ui.pages.chat.transcript import Transcript
from studio.ui.widgets import Button, EmptyState, clear

_ALONE = "Adapters that belong on this model are offered above, once there are any."
_BESIDE = (
    "Pick an adapter above, or compare it with the bare model: both answer the same prompt from "
    "the same seed."
)


class Faces(QStackedWidget):
    """Three faces, one at a time."""

    asked = Signal(str)
    """A suggested question was chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.empty = EmptyState(
            "chat",
            "No model to talk to yet",
            "Fetch the starter model or pick one of your own on the first step of New run.",
            "New run",
        )
        self.hint = EmptyState("chat", "Say something", _ALONE)
        self.suggestions = Suggestions()
        hint_box = self.hint.layout()
        assert isinstance(hint_box, QVBoxLayout)
        hint_box.insertSpacing(hint_box.count() - 1, 6)
        hint_box.insertWidget(hint_box.count() - 1, self.suggestions)
        self.transcript = Transcript()
        for face in (self.empty, self.hint, self.transcript):
            self.addWidget(face)

    def show_state(self, known: bool, said: bool) -> None:
        """Whether there is a model, and whether anything was said."""
        self.setCurrentIndex(2 if said else 1 if known else 0)

    def set_beside(self, any: bool) -> None:
        """Whether there is an adapter to compare with."""
        self.hint.text.setText(_BESIDE if any else _ALONE)

    def suggest(self, texts: Sequence[str]) -> None:
        """Offer these questions to begin with."""
        buttons = [Button(text, "chip") for text in texts]
        for button, text in zip(buttons, texts, strict=True):
            button.clicked.connect(lambda _=False, chosen=text: self.asked.emit(chosen))
        self.suggestions.offer(buttons)


class Suggestions(QWidget):
    """What one could ask first."""

    def __init__(self) -> None:
        super().__init__()
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(8)

    def offer(self, buttons: Sequence[QWidget]) -> None:
        """Show these in a centred column."""
        clear(self._box)
        for button in buttons:
            self._box.addWidget(button, 0, Qt.AlignmentFlag.AlignCenter)
