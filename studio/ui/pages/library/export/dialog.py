"""Export or merge: what as, where to, with which choices; then how far it is, and its passport."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QWidget

from studio.core import exporting as core
from studio.core.errors import StudioError
from studio.ui.pages.library.export.exporting import Exporting
from studio.ui.pages.library.export.outcome import Outcome
from studio.ui.pages.library.export.question import Question
from studio.ui.session import Session
from studio.ui.widgets import Button, FacesDialog, ProgressBar, label, row

MERGED = "safetensors"
NARROW, MIDDLE, WIDE, HEIGHT = 560, 720, 880, 690


class ExportDialog(FacesDialog):
    """Three faces: the question, the progress and the result. With `only` a format it asks about
    that one alone, which for the merged model is what is called a merge."""

    def __init__(
        self, parent: QWidget, session: Session, exporting: Exporting, only: str = ""
    ) -> None:
        self._word, icon = ("merge", "merge") if only == MERGED else ("export", "upload")
        name = self._word.title()
        super().__init__(parent, icon, f"{name} {exporting.facts.name}", name)
        self.setModal(True)
        self.exporting = exporting
        formats = [each for each in core.FORMATS if only in ("", each.id)]
        self.question = Question(session, exporting.facts, formats)
        self.outcome = Outcome(session)
        self._add_question(Button(name, "primary", icon))
        self._add_progress()
        self._add_result()
        exporting.moved.connect(self._moved)
        exporting.finished.connect(self._finished)
        exporting.failed.connect(self.refuse)
        exporting.cancelled.connect(self.reject)

    def _add_question(self, start: Button) -> None:
        self.start = start
        self.start.clicked.connect(self._start)
        self.question.ready.connect(self.start.setEnabled)
        self.question.entered.connect(self.start.click)
        leave = Button("Cancel")
        leave.clicked.connect(self.reject)
        self.so_far = Button(
            "Exports so far", "ghost", "list", "What was made of it, with passports"
        )
        size = (WIDE, HEIGHT) if self.question.cards else (NARROW, 0)
        self.add_face(
            self.question, row(leave, self.so_far, None, self.start),
            focus=lambda: self.question.first, width=size[0], height=size[1],
        )  # fmt: skip

    def _add_progress(self) -> None:
        self.bar = ProgressBar(f"Progress of the {self._word}")
        self.stage = label("Starting", "sub", wrap=True)
        self.stop = Button(f"Cancel the {self._word}", "danger", "x")
        self.stop.clicked.connect(self._cancel)
        self.hide_button = Button("Go on in the background")
        self.hide_button.clicked.connect(self.accept)
        buttons = row(self.stop, None, self.hide_button)
        self.add_face(self.bar, self.stage, buttons, focus=lambda: self.hide_button, width=NARROW)

    def _add_result(self) -> None:
        self.close_button = Button("Close", "primary")
        self.finished.connect(self.outcome.push.cancel)
        for button in (self.close_button, self.outcome.talk):
            button.clicked.connect(self.accept)
        mine = self.outcome
        self.add_face(
            mine, row(mine.open_button, mine.talk, None, self.close_button),
            focus=lambda: self.close_button, width=MIDDLE, height=HEIGHT,
        )  # fmt: skip

    def _start(self) -> None:
        asked = self.question
        if not asked.out.path():
            text = f"The {self._word} needs a folder."
            self.refuse(StudioError("No folder", text, "Name one."))
            return
        self.problem.hide()
        self.bar.set_value(None)
        self.stop.setEnabled(True)
        self.show_face(1)
        self.exporting.start(asked.format, Path(asked.out.path()), asked.choices())

    def _cancel(self) -> None:
        self.stop.setEnabled(False)
        self.stage.setText("Cancelling")
        self.exporting.cancel()

    def _moved(self, text: str, share: float | None) -> None:
        if self.stop.isEnabled():
            self.stage.setText(text)
        self.bar.set_value(share)

    def _finished(self, result: dict[str, Any]) -> None:
        self.outcome.show_export(self.exporting.made(result))
        self.show_face(2)
