"""Merge: where to, in which number format; then how far it is, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog, QStackedWidget, QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.library.folders import free_path, legal_name
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.pages.library.merging import Merging, base_line, grade
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    ComboBox,
    ElidedLabel,
    Field,
    InlineMessage,
    PathField,
    Pill,
    ProgressBar,
    column,
    label,
    row,
)

WIDTH = 540
DTYPES = (
    ("auto", "As the base"),
    ("bfloat16", "bfloat16 (16 bit)"),
    ("float16", "float16 (16 bit)"),
    ("float32", "float32 (32 bit)"),
)


BASES = (
    ("auto", "Whichever does better on held-out rows"),
    ("original", "The 16-bit original"),
    ("trained", "The 4-bit base it was trained on, in 16 bits"),
)


class MergeDialog(QDialog):
    """Three faces: the question, the progress and the result."""

    def __init__(self, parent: QWidget, session: Session, merging: Merging) -> None:
        super().__init__(parent)
        self._session, self.merging = session, merging
        facts = merging.facts
        self.setWindowTitle("Merge")
        self.setAccessibleName(f"Merge {facts.name}")
        self.setModal(True)
        self.setFixedWidth(WIDTH)
        self.problem = InlineMessage()
        self.out = PathField("Folder of the merged model", folder=True)
        suggested = free_path(session.home.models, legal_name(f"{facts.name}-merged"))
        self.out.set_path(str(suggested))
        self.dtype = ComboBox("Number format", DTYPES)
        self.onto = ComboBox("Base to merge into", BASES)
        self._faces = QStackedWidget()
        self._all = (self._question(), self._progress(), self._result())
        for face in self._all:
            self._faces.addWidget(face)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        title = label(f"Merge {facts.name}", "h2", wrap=True)
        head = row(IconLabel("merge", "accent_text", 20), spacing=10)
        head.addWidget(title, 1)
        box.addLayout(head)
        box.addWidget(self.problem)
        box.addWidget(self._faces)
        merging.moved.connect(self._moved)
        merging.finished.connect(self._finished)
        merging.failed.connect(self._failed)
        merging.cancelled.connect(self.reject)

    def _question(self) -> QWidget:
        base = self.merging.facts.base_name or "its base"
        text = label(
            f"Writes {base} with this adapter as one model folder that any program using "
            "transformers can load. The adapter stays as it is.",
            "sub",
            wrap=True,
        )
        self.start = Button("Merge", "primary", "merge")
        self.start.clicked.connect(self._start)
        self.out.edit.returnPressed.connect(self._start)
        leave = Button("Cancel")
        leave.clicked.connect(self.reject)
        where = Field("Folder", self.out, "A folder that doesn't exist yet.")
        kind = Field("Number format", self.dtype, "Sums are rounded once to this format.")
        onto = Field("Base", self.onto, "Trained with QLoRA: there are two to choose from.")
        onto.setVisible(self.merging.facts.method == "qlora")
        return _face(text, where, kind, onto, row(leave, None, self.start))

    def _progress(self) -> QWidget:
        self.bar = ProgressBar("Progress of the merge")
        self.bar.set_value(None)
        self.stage = label("Starting", "sub", wrap=True)
        self.stop = Button("Cancel the merge", "danger", "x")
        self.stop.clicked.connect(self._cancel)
        self.hide_button = Button("Go on in the background")
        self.hide_button.clicked.connect(self.accept)
        return _face(self.bar, self.stage, row(self.stop, None, self.hide_button))

    def _result(self) -> QWidget:
        self.pill = Pill("Passed", "ok")
        self.place = ElidedLabel("", "mono")
        self.facts_line = label("", "sub", wrap=True)
        self.check_line = label("", "sub", wrap=True, selectable=True)
        self.open_button = Button("Open folder", "", "folder")
        self.open_button.clicked.connect(self._open_folder)
        self.talk = Button("Chat with it", "", "chat")
        self.talk.clicked.connect(self._chat)
        self.close_button = Button("Close", "primary")
        self.close_button.clicked.connect(self.accept)
        head = row(label("Check against the live adapter", "b"), self.pill, None)
        return _face(
            self.facts_line, self.place, 4, head, self.check_line,
            row(self.open_button, self.talk, None, self.close_button),
        )  # fmt: skip

    def _start(self) -> None:
        if not self.out.path():
            self._failed(StudioError("No folder", "The merge needs a folder.", "Name one."))
            return
        self.problem.hide()
        self.bar.set_value(None)
        self.stop.setEnabled(True)
        self._show_face(1)
        self.merging.start(Path(self.out.path()), self.dtype.value(), self.onto.value())

    def _cancel(self) -> None:
        self.stop.setEnabled(False)
        self.stage.setText("Cancelling")
        self.merging.cancel()

    def _moved(self, text: str, share: float | None) -> None:
        if self.stop.isEnabled():
            self.stage.setText(text)
        self.bar.set_value(share)

    def _finished(self, result: dict[str, Any]) -> None:
        self._path = Path(str(result["path"]))
        text, tone, sentence = grade(result)
        self.pill.show_as(text, tone)
        self.check_line.setText(sentence)
        self.place.setText(str(self._path))
        size, seconds = say.size(result["bytes"]), say.duration(result["seconds"])
        self.facts_line.setText(f"Merged: {size} in {seconds}. {base_line(result)}".strip())
        self._show_face(2)

    def _failed(self, error: StudioError) -> None:
        self.problem.show_error(error)
        self._show_face(0)

    def _show_face(self, face: int) -> None:
        self._faces.setCurrentIndex(face)
        inner = WIDTH - 48
        wanted = self._all[face].layout()
        height = wanted.heightForWidth(inner) if wanted and wanted.hasHeightForWidth() else 0
        self._faces.setFixedHeight(max(height, self._all[face].sizeHint().height()) + 2)
        focus = (self.out.edit, self.hide_button, self.close_button)
        focus[face].setFocus(Qt.FocusReason.OtherFocusReason)
        self.adjustSize()

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._path)))

    def _chat(self) -> None:
        self.accept()
        self._session.open_chat.emit(str(self._path), [])

    def showEvent(self, event: object) -> None:
        self._show_face(self._faces.currentIndex())


def _face(*items: object) -> QWidget:
    made = QWidget()
    made.setLayout(column(*items, spacing=12))  # type: ignore[arg-type]
    return made
