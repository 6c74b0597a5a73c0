"""Install optional parts: what comes and how large it is, then how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QWidget

from studio.core.errors import StudioError
from studio.core.parts import Part
from studio.library import parts
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.session import Session
from studio.ui.widgets import Button, FacesDialog, ProgressBar, column, label, row

WIDTH = 520
ABOUT = (
    "They are fetched from PyPI into the studio's own Python environment, where nothing else "
    "changes its version."
)


def install(session: Session, parent: QWidget | None, names: Sequence[str]) -> bool:
    """Offer to install what of these parts isn't there; whether all of them are there now."""
    missing = parts.missing(names)
    return not missing or bool(InstallDialog(session, parent, missing).exec())


class InstallDialog(FacesDialog):
    """Accepted once everything is installed. Leaving it while pip works gives that up."""

    def __init__(self, session: Session, parent: QWidget | None, wanted: Sequence[Part]) -> None:
        title = f"Install {' and '.join(part.title for part in wanted)}"
        super().__init__(parent, "download", title, "Install optional parts")
        self._session, self._wanted = session, list(wanted)
        self._task: Task | None = None
        self.setModal(True)
        self._add_question()
        self._add_progress()

    def _add_question(self) -> None:
        machine = parts.this_machine()
        sizes = [part.size_on(machine) or 0 for part in self._wanted]
        self.start = Button(f"Install ({say.size(sum(sizes))})", "primary", "download")
        self.start.clicked.connect(self._start)
        leave = Button("Not now")
        leave.clicked.connect(self.reject)
        lines = [_described(part, size) for part, size in zip(self._wanted, sizes, strict=True)]
        about, buttons = label(ABOUT, "mute", wrap=True), row(leave, None, self.start)
        self.add_face(*lines, about, buttons, focus=lambda: self.start, width=WIDTH)

    def _add_progress(self) -> None:
        self.bar = ProgressBar("Progress of the installation")
        self.stage = label("Starting", "sub", wrap=True)
        self.stop = Button("Cancel", "danger", "x")
        self.stop.clicked.connect(self.reject)
        buttons = row(self.stop, None)
        self.add_face(self.bar, self.stage, buttons, focus=lambda: self.stop, width=WIDTH)

    def _start(self) -> None:
        self.problem.hide()
        self.bar.set_value(None)
        self.show_face(1)
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
        self.refuse(error)

    def reject(self) -> None:
        """Give up what is under way; installing again mends what it left."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        super().reject()


def _install(names: list[str], progress: Any, cancelled: Any) -> object:
    from studio.client import actions

    return actions.install_parts(names, progress=progress, cancelled=cancelled)


def _described(part: Part, size: int) -> QWidget:
    made = QWidget()
    head = row(label(part.title, "b"), None, label(f"{say.size(size)}, {part.licence}", "mute"))
    made.setLayout(column(head, label(part.brings, "sub", wrap=True), spacing=3))
    return made
