"""Install optional parts: what comes and how large it is, then how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QStackedWidget, QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.core.parts import Part
from studio.library import parts
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.icons import IconLabel
from studio.ui.session import Session
from studio.ui.widgets import Button, InlineMessage, ProgressBar, column, label, row

WIDTH = 520
ABOUT = (
    "They are fetched from PyPI into the studio's own Python environment, where nothing else "
    "changes its version."
)


def install(session: Session, parent: QWidget | None, names: Sequence[str]) -> bool:
    """Offer to install what of these parts isn't there; whether all of them are there now."""
    missing = parts.missing(names)
    return not missing or bool(InstallDialog(session, parent, missing).exec())


class InstallDialog(QDialog):
    """Accepted once everything is installed. Leaving it while pip works gives that up."""

    def __init__(self, session: Session, parent: QWidget | None, wanted: Sequence[Part]) -> None:
        super().__init__(parent)
        self._session, self._wanted = session, list(wanted)
        self._task: Task | None = None
        title = f"Install {' and '.join(part.title for part in wanted)}"
        self.setWindowTitle("Install optional parts")
        self.setAccessibleName(title)
        self.setModal(True)
        self.setFixedWidth(WIDTH)
        self.problem = InlineMessage()
        self._faces = QStackedWidget()
        self._all = (self._question(), self._progress())
        for face in self._all:
            self._faces.addWidget(face)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        head = row(IconLabel("download", "accent_text", 20), spacing=10)
        head.addWidget(label(title, "h2", wrap=True), 1)
        box.addLayout(head)
        box.addWidget(self.problem)
        box.addWidget(self._faces)

    def _question(self) -> QWidget:
        machine = parts.this_machine()
        sizes = [part.size_on(machine) or 0 for part in self._wanted]
        self.start = Button(f"Install ({say.size(sum(sizes))})", "primary", "download")
        self.start.clicked.connect(self._start)
        leave = Button("Not now")
        leave.clicked.connect(self.reject)
        lines = [_described(part, size) for part, size in zip(self._wanted, sizes, strict=True)]
        return _face(*lines, label(ABOUT, "mute", wrap=True), row(leave, None, self.start))

    def _progress(self) -> QWidget:
        self.bar = ProgressBar("Progress of the installation")
        self.stage = label("Starting", "sub", wrap=True)
        self.stop = Button("Cancel", "danger", "x")
        self.stop.clicked.connect(self.reject)
        return _face(self.bar, self.stage, row(self.stop, None))

    def _start(self) -> None:
        self.problem.hide()
        self.bar.set_value(None)
        self._show_face(1)
        self._task = self._session.background(
            _install,
            [part.name for part in self._wanted],
            done=self._done,
            failed=self._failed,
            progress=self._moved,
        )

    def _moved(self, text: str, share: float | None) -> None:
        self.stage.setText(text)
        self.bar.set_value(share)

    def _done(self, installed: object) -> None:
        self._task = None
        titles = " and ".join(part.title for part in self._wanted)
        self._session.said.emit(f"Installed {titles}", "ok")
        self.accept()

    def _failed(self, error: StudioError) -> None:
        self._task = None
        self.problem.show_error(error)
        self._show_face(0)

    def reject(self) -> None:
        """Give up what is under way; installing again mends what it left."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        super().reject()

    def _show_face(self, face: int) -> None:
        self._faces.setCurrentIndex(face)
        inner = WIDTH - 48
        wanted = self._all[face].layout()
        height = wanted.heightForWidth(inner) if wanted and wanted.hasHeightForWidth() else 0
        self._faces.setFixedHeight(max(height, self._all[face].sizeHint().height()) + 2)
        (self.start, self.stop)[face].setFocus(Qt.FocusReason.OtherFocusReason)
        self.adjustSize()

    def showEvent(self, event: object) -> None:
        self._show_face(self._faces.currentIndex())


def _install(names: list[str], progress: Any, cancelled: Any) -> object:
    from studio.client import actions

    return actions.install_parts(names, progress=progress, cancelled=cancelled)


def _described(part: Part, size: int) -> QWidget:
    made = QWidget()
    head = row(label(part.title, "b"), None, label(f"{say.size(size)}, {part.licence}", "mute"))
    made.setLayout(column(head, label(part.brings, "sub", wrap=True), spacing=3))
    return made


def _face(*items: object) -> QWidget:
    made = QWidget()
    made.setLayout(column(*items, spacing=12))  # type: ignore[arg-type]
    return made
