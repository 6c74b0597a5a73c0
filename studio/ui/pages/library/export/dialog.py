"""Export or merge: what as, where to, with which choices; then how far it is, and its passport."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from studio.core import exporting as core
from studio.core.errors import StudioError
from studio.ui.icons import IconLabel
from studio.ui.pages.library.export.exporting import Exporting
from studio.ui.pages.library.export.outcome import Outcome
from studio.ui.pages.library.export.question import Question
from studio.ui.session import Session
from studio.ui.widgets import Button, ElidedLabel, InlineMessage, ProgressBar, column, label, row

MERGED = "safetensors"
NARROW, MIDDLE, WIDE, HEIGHT = 560, 720, 880, 690


class ExportDialog(QDialog):
    """Three faces: the question, the progress and the result. With `only` a format it asks about
    that one alone, which for the merged model is what is called a merge."""

    def __init__(
        self, parent: QWidget, session: Session, exporting: Exporting, only: str = ""
    ) -> None:
        super().__init__(parent)
        self.exporting = exporting
        self._word = "merge" if only == MERGED else "export"
        self._icon = "merge" if only == MERGED else "upload"
        title = f"{self._word.title()} {exporting.facts.name}"
        self.setWindowTitle(self._word.title())
        self.setAccessibleName(title)
        self.setModal(True)
        self.problem = InlineMessage()
        formats = [each for each in core.FORMATS if only in ("", each.id)]
        self.question = Question(session, exporting.facts, formats)
        self.outcome = Outcome(session)
        self._faces = (self._asking(), self._progress(), self._result())
        self._sizes = ((WIDE, HEIGHT) if not only else (NARROW, 0), (NARROW, 0), (MIDDLE, HEIGHT))
        self._face = 0
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        head = row(IconLabel(self._icon, "accent_text", 20), spacing=10)
        head.addWidget(ElidedLabel(title, "h2", Qt.TextElideMode.ElideRight), 1)
        box.addLayout(head)
        box.addWidget(self.problem)
        for face in self._faces:
            box.addWidget(face, 1)
        exporting.moved.connect(self._moved)
        exporting.finished.connect(self._finished)
        exporting.failed.connect(self._failed)
        exporting.cancelled.connect(self.reject)
        self._show_face(0)

    def _asking(self) -> QWidget:
        self.start = Button(self._word.title(), "primary", self._icon)
        self.start.clicked.connect(self._start)
        self.question.ready.connect(self.start.setEnabled)
        self.question.entered.connect(self.start.click)
        leave = Button("Cancel")
        leave.clicked.connect(self.reject)
        self.so_far = Button(
            "Exports so far", "ghost", "list", "What was made of it, with passports"
        )
        return _face(self.question, row(leave, self.so_far, None, self.start), spacing=14)

    def _progress(self) -> QWidget:
        self.bar = ProgressBar(f"Progress of the {self._word}")
        self.stage = label("Starting", "sub", wrap=True)
        self.stop = Button(f"Cancel the {self._word}", "danger", "x")
        self.stop.clicked.connect(self._cancel)
        self.hide_button = Button("Go on in the background")
        self.hide_button.clicked.connect(self.accept)
        return _face(self.bar, self.stage, row(self.stop, None, self.hide_button), spacing=12)

    def _result(self) -> QWidget:
        self.close_button = Button("Close", "primary")
        self.finished.connect(self.outcome.push.cancel)
        for button in (self.close_button, self.outcome.talk):
            button.clicked.connect(self.accept)
        mine = self.outcome
        return _face(mine, row(mine.open_button, mine.talk, None, self.close_button), spacing=14)

    def _start(self) -> None:
        asked = self.question
        if not asked.out.path():
            text = f"The {self._word} needs a folder."
            self._failed(StudioError("No folder", text, "Name one."))
            return
        self.problem.hide()
        self.bar.set_value(None)
        self.stop.setEnabled(True)
        self._show_face(1)
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
        self._show_face(2)

    def _failed(self, error: StudioError) -> None:
        self.problem.show_error(error)
        self._show_face(0)

    def _show_face(self, place: int) -> None:
        self._face = place
        for each in self._faces:
            each.setVisible(each is self._faces[place])
        self._fit()
        focus = (self.question.first, self.hide_button, self.close_button)
        focus[place].setFocus(Qt.FocusReason.OtherFocusReason)

    def _fit(self) -> None:
        """The size of the face that is shown, about the same centre."""
        before, box = self.geometry().center(), self.layout()
        assert box is not None
        box.activate()
        width, height = self._sizes[self._face]
        self.setFixedSize(width, height or box.totalHeightForWidth(width))
        if self.isVisible():
            now = self.geometry()
            now.moveCenter(before)
            self.setGeometry(now)


def _face(*items: object, spacing: int) -> QWidget:
    made = QWidget()
    made.setLayout(column(*items, spacing=spacing))  # type: ignore[arg-type]
    return made
