"""Export: what as, where to, with which choices; then how far it is, and its passport."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog, QStackedWidget, QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.core.passport import Example, Passport
from studio.library import exports
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.pages.library.export.exporting import Exporting
from studio.ui.pages.library.export.passport_view import PassportView
from studio.ui.pages.library.export.push import PushCard
from studio.ui.pages.library.export.question import Question
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    ElidedLabel,
    InlineMessage,
    ProgressBar,
    ScrollArea,
    column,
    label,
    row,
)

WIDTH, HEIGHT = 880, 620


class ExportDialog(QDialog):
    """Three faces: the question, the progress and the result."""

    def __init__(self, parent: QWidget, session: Session, exporting: Exporting) -> None:
        super().__init__(parent)
        self._session, self.exporting = session, exporting
        self._path = Path()
        facts = exporting.facts
        self.setWindowTitle("Export")
        self.setAccessibleName(f"Export {facts.name}")
        self.setModal(True)
        self.setFixedSize(WIDTH, HEIGHT)
        self.problem = InlineMessage()
        self.question = Question(session, facts, session.home.root / "exported")
        self._faces = QStackedWidget()
        for face in (self._asking(), self._progress(), self._result()):
            self._faces.addWidget(face)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        head = row(IconLabel("upload", "accent_text", 20), spacing=10)
        head.addWidget(ElidedLabel(f"Export {facts.name}", "h2", Qt.TextElideMode.ElideRight), 1)
        box.addLayout(head)
        box.addWidget(self.problem)
        box.addWidget(self._faces, 1)
        exporting.moved.connect(self._moved)
        exporting.finished.connect(self._finished)
        exporting.failed.connect(self._failed)
        exporting.cancelled.connect(self.reject)

    def _asking(self) -> QWidget:
        self.start = Button("Export", "primary", "upload")
        self.start.clicked.connect(self._start)
        self.question.ready.connect(self.start.setEnabled)
        leave = Button("Cancel")
        leave.clicked.connect(self.reject)
        face = QWidget()
        self.so_far = Button("Exports so far", "ghost", "list", "Exports and their passports")
        buttons = row(leave, self.so_far, None, self.start)
        face.setLayout(column(self.question, buttons, spacing=14))
        return face

    def _progress(self) -> QWidget:
        self.bar = ProgressBar("Progress of the export")
        self.stage = label("Starting", "sub", wrap=True)
        self.stop = Button("Cancel the export", "danger", "x")
        self.stop.clicked.connect(self._cancel)
        self.hide_button = Button("Go on in the background")
        self.hide_button.clicked.connect(self.accept)
        face = QWidget()
        buttons = row(self.stop, None, self.hide_button)
        face.setLayout(column(None, self.bar, self.stage, None, buttons, spacing=12))
        return face

    def _result(self) -> QWidget:
        self.passport = PassportView()
        self.push = PushCard(self._session)
        self.finished.connect(self.push.cancel)
        self.place = ElidedLabel("", "mono")
        self.facts_line = label("", "sub", wrap=True)
        self.open_button = Button("Open folder", "", "folder")
        self.open_button.clicked.connect(self._open_folder)
        self.close_button = Button("Close", "primary")
        self.close_button.clicked.connect(self.accept)
        shown = ScrollArea()
        shown.body.addWidget(self.passport)
        face = QWidget()
        face.setLayout(
            column(
                self.facts_line, self.place, shown, self.push,
                row(self.open_button, None, self.close_button), spacing=12,
            )
        )  # fmt: skip
        return face

    def _start(self) -> None:
        asked = self.question
        if not asked.out.path():
            self._failed(StudioError("No folder", "The export needs a folder.", "Name one."))
            return
        self.problem.hide()
        self.bar.set_value(None)
        self.stop.setEnabled(True)
        self._show_face(1)
        self.exporting.start(asked.format.id, Path(asked.out.path()), asked.choices())

    def _cancel(self) -> None:
        self.stop.setEnabled(False)
        self.stage.setText("Cancelling")
        self.exporting.cancel()

    def _moved(self, text: str, share: float | None) -> None:
        if self.stop.isEnabled():
            self.stage.setText(text)
        self.bar.set_value(share)

    def _finished(self, result: dict[str, Any]) -> None:
        self._path = Path(str(result["path"]))
        self.place.setText(str(self._path))
        size, seconds = say.size(result["bytes"]), say.duration(result["seconds"])
        self.facts_line.setText(f"{self.question.format.title}: {size} in {seconds}.")
        plain = result.get("passport")
        self._passport = msgspec.convert(plain, Passport) if plain else None
        self.passport.show_passport(self._passport)
        self.push.show_export(self._path, self._passport)
        self._show_face(2)
        self._session.background(
            _examples, self._session.home, str(self._path), done=self._show_examples
        )

    def _show_examples(self, found: tuple[Example, ...]) -> None:
        self.passport.show_passport(self._passport, found)

    def _failed(self, error: StudioError) -> None:
        self.problem.show_error(error)
        self._show_face(0)

    def _show_face(self, face: int) -> None:
        self._faces.setCurrentIndex(face)
        focus = (self.question.first, self.hide_button, self.close_button)
        focus[face].setFocus(Qt.FocusReason.OtherFocusReason)

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._path)))


def _examples(home: Home, out: str) -> tuple[Example, ...]:
    """The examples of the latest export to this place."""
    found = [each for each in exports.listing(home) if each.out == out]
    return exports.examples(Path(found[0].record)) if found else ()
