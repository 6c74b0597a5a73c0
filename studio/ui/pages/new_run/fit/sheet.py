"""What opens under a part: what it is, how to shrink it, and a button that does."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout

from studio.ui import format as say
from studio.ui.pages.new_run.fit.shrinking import Shrink
from studio.ui.pages.new_run.fit.words import words_of
from studio.ui.pages.new_run.wording import sentence
from studio.ui.widgets import Button, Card, label


class PartSheet(Card):
    """One part explained. `apply` asks for the change on the button."""

    apply = Signal(object)
    """Recipe: the present one with the change."""

    def __init__(self) -> None:
        super().__init__("raised", margin=12, spacing=8)
        self.part = ""
        self._shrink: Shrink | None = None
        self._what = label("", "", wrap=True)
        self._how = label("", "mute", wrap=True)
        self.extra = QVBoxLayout()
        self._change = label("", "b", wrap=True)
        self._saves = label("", "mute", wrap=True)
        self.button = Button("Change it")
        self.button.clicked.connect(self._apply)
        self.add(self._what, self._how, self.extra, self._change, self._saves, self.button)
        self.hide()

    def explain(self, part: str) -> None:
        """Show what a part is; its button comes with `offer`."""
        words = words_of(part)
        self.part = part
        self._what.setText(words.what)
        self._how.setText(words.shrink)
        self.setAccessibleName(f"{words.title}: {words.what} {words.shrink}")
        self.offer(None)

    def offer(self, shrink: Shrink | None) -> None:
        """Show the button of this change, or none."""
        self._shrink = shrink
        for part in (self._change, self._saves, self.button):
            part.setVisible(shrink is not None)
        if shrink is not None:
            said = sentence(shrink.text)
            self._change.setText(said)
            self._saves.setText(f"Takes about {say.size(shrink.whole_bytes)} off the whole.")
            self.button.setAccessibleName(f"Change it: {said}")

    def _apply(self) -> None:
        if self._shrink is not None:
            self.apply.emit(self._shrink.recipe)
