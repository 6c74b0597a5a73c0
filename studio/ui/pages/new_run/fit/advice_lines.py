"""What to change: Make it fit, or use what room is left; its undoing; single changes in words."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from studio.core.autofit import Fitted
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.fit_dialog import FitDialog
from studio.ui.pages.new_run.wording import sentence
from studio.ui.widgets import Button, column, label

LINES = 3
SOON = 150
"""Milliseconds after the last change until the advice is reckoned anew."""


class FitButtons(QWidget):
    """“Make it fit” or “Use the room that is left”, and the way back; hidden where none of them
    has something to do. Whether there is a use for room is looked up a little after a change."""

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self.fit = Button("Make it fit", "primary")
        self.fit.clicked.connect(self.make_it_fit)
        self.undo = Button("Undo the changes", icon_name="refresh")
        self.undo.clicked.connect(draft.undo)
        self.use = Button("Use the room that is left", icon_name="zap")
        self.use.clicked.connect(self.use_room)
        self._useful = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON)
        self._soon.timeout.connect(self._look_for_use)
        self.setLayout(column(self.fit, self.use, self.undo, 2, spacing=6))
        self.hide()

    def refresh(self) -> None:
        """Show the buttons that have something to do."""
        verdict = self._draft.estimate.verdict
        if verdict == "fits":
            self._soon.start()
        else:
            self._soon.stop()
            self._useful = False
        self._show(verdict in ("tight", "too big"))

    def _show(self, short: bool) -> None:
        undo = self._draft.can_undo
        anything = short or self._useful or undo
        for widget, wanted in (
            (self.fit, short),
            (self.use, self._useful),
            (self.undo, undo),
            (self, anything),
        ):
            if widget.isHidden() == wanted:
                widget.setVisible(wanted)

    def _look_for_use(self) -> None:
        self._useful = bool(self._draft.make_use_of_room(most=1).changes)
        self._show(short=False)

    def make_it_fit(self) -> None:
        """Ask for the changes that make it fit, and take them on yes."""
        self._offer(self._draft.make_it_fit())

    def use_room(self) -> None:
        """Ask for the changes that make use of room, and take them on yes."""
        self._offer(self._draft.make_use_of_room())

    def _offer(self, fitted: Fitted) -> None:
        draft = self._draft
        dialog = FitDialog(self.window(), fitted, draft.estimate.available_bytes)
        if dialog.ask() == "apply":
            draft.take_over(fitted.recipe)
        dialog.deleteLater()


class AdviceLines(QWidget):
    """Single changes in words, each with what it saves; they follow a little after the estimate."""

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self.lines = [label("", "mute", wrap=True) for _ in range(LINES)]
        self.setLayout(column(4, label("To take less memory", "b"), *self.lines, spacing=6))
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON)
        self._soon.timeout.connect(self._advise)
        self.hide()

    def refresh(self) -> None:
        """Ask for what the draft's estimate wants said."""
        if self._draft.estimate.verdict in ("tight", "too big"):
            self._soon.start()
        else:
            self._soon.stop()
            if not self.isHidden():
                self.hide()

    def _advise(self) -> None:
        advice = self._draft.ways_to_save()
        for line, text in zip(self.lines, [*advice, *[""] * LINES], strict=False):
            line.setText(sentence(text))
            line.setVisible(bool(text))
        self.setVisible(bool(advice))
