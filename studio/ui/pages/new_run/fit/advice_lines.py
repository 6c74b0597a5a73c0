"""What to change when it doesn't fit: Make it fit, its undoing, and single changes in words."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.fit_dialog import FitDialog
from studio.ui.pages.new_run.wording import sentence
from studio.ui.widgets import Button, column, label

LINES = 3
SOON = 150
"""Milliseconds after the last change until the advice is reckoned anew."""


class FitButtons(QWidget):
    """“Make it fit”, and the way back; hidden while it fits and there is nothing to undo."""

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self.fit = Button("Make it fit", "primary")
        self.fit.clicked.connect(self.make_it_fit)
        self.undo = Button("Undo the changes", icon_name="refresh")
        self.undo.clicked.connect(draft.undo)
        self.setLayout(column(self.fit, self.undo, 2, spacing=6))
        self.hide()

    def refresh(self) -> None:
        """Show the buttons that have something to do."""
        short = self._draft.estimate.verdict in ("tight", "too big")
        for widget, wanted in (
            (self.fit, short),
            (self.undo, self._draft.can_undo),
            (self, short or self._draft.can_undo),
        ):
            if widget.isHidden() == wanted:
                widget.setVisible(wanted)

    def make_it_fit(self) -> None:
        """Ask for the changes that make it fit, and take them on yes."""
        draft = self._draft
        fitted = draft.make_it_fit()
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
