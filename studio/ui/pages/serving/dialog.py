"""Use it in other programs: start a server, say how to connect, stop it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QStackedWidget, QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Serving
from studio.library import jobs, serving
from studio.library.folders import Home
from studio.ui.following import Following
from studio.ui.icons import IconLabel
from studio.ui.pages.serving.faces import Connection, Question, Wait
from studio.ui.session import Session
from studio.ui.widgets import InlineMessage, label, row

WIDTH = 560
QUESTION, WAIT, CONNECTION = range(3)


class ServingDialog(QDialog):
    """One server at a time, that of this window. Closed, it goes on serving."""

    def __init__(self, parent: QWidget, session: Session) -> None:
        super().__init__(parent)
        self._session = session
        self._model = ""
        self._adapters: tuple[str, ...] = ()
        self.server = Following(session, "The server", self)
        self.setWindowTitle("Use it in other programs")
        self.setFixedWidth(WIDTH)
        self.title = label("", "h2", wrap=True)
        self.problem = InlineMessage()
        self.question, self.wait, self.connection = Question(), Wait(), Connection()
        self._all: tuple[QWidget, ...] = (self.question, self.wait, self.connection)
        self._faces = QStackedWidget()
        for face in self._all:
            self._faces.addWidget(face)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        head = row(IconLabel("globe", "accent_text", 20), spacing=10)
        head.addWidget(self.title, 1)
        box.addLayout(head)
        box.addWidget(self.problem)
        box.addWidget(self._faces)
        self._connect()

    def open_for(self, model: str, folders: Sequence[str]) -> None:
        """Ask about serving this model with these adapters; what serves already is shown."""
        if not self.server.living:
            self._model, self._adapters = model, tuple(folders)
            names = [Path(model).name, *(Path(folder).name for folder in folders)]
            self.title.setText(f"Use {names[-1]} in other programs")
            self.question.text.setText(_explained(names))
            self.problem.hide()
            self._show_face(QUESTION)
        elif (model, tuple(folders)) != (self._model, self._adapters):
            self.problem.show_message(
                "Another model is served", "One is served at a time.", "Stop it first.", "info"
            )
        self.reopen()

    def reopen(self) -> None:
        """Come to the front as it is."""
        self.show()
        self._show_face(self._faces.currentIndex())
        self.raise_()
        self.activateWindow()

    def _connect(self) -> None:
        self.question.start.clicked.connect(self._start)
        self.question.port.returnPressed.connect(self._start)
        self.question.leave.clicked.connect(self.reject)
        self.wait.stop.clicked.connect(self._stop)
        self.connection.stop.clicked.connect(self._stop)
        self.connection.hide_button.clicked.connect(self.accept)
        self.server.moved.connect(self._moved)
        self.server.heard.connect(self._heard)
        self.server.failed.connect(self._failed)
        self.server.finished.connect(self._ended)
        self.server.cancelled.connect(self._ended)

    def _start(self) -> None:
        port = self.question.port.number()
        if port is None:
            self.problem.show_error(
                StudioError("No such port", "A port is a number up to 65535.", "Leave it empty.")
            )
            return
        self.problem.hide()
        self._enable_stopping(True)
        self._show_face(WAIT)
        home = self._session.home
        self._session.background(serving.key, home, done=self.connection.show_key_of)
        self.server.begin(create, home, self._model, self._adapters, int(port))

    def _stop(self) -> None:
        self._enable_stopping(False)
        self.wait.stage.setText("Stopping")
        self.connection.state.show_as("Stopping", "warn")
        self.server.cancel()

    def _enable_stopping(self, on: bool) -> None:
        for button in (self.wait.stop, self.connection.stop):
            button.setEnabled(on)

    def _moved(self, text: str, share: float | None) -> None:
        self.wait.bar.set_value(share)
        if self.wait.stop.isEnabled():
            self.wait.stage.setText(text)

    def _heard(self, event: AnyEvent) -> None:
        if isinstance(event, Serving):
            self.connection.show_server(event)
            if self._faces.currentIndex() != CONNECTION:
                self.connection.state.show_as("Serving", "ok")
                self._show_face(CONNECTION)

    def _failed(self, error: StudioError) -> None:
        self.problem.show_error(error)
        self._show_face(QUESTION)
        if not self.isVisible():
            self._session.failed.emit(error)

    def _ended(self, _result: dict[str, Any] | None = None) -> None:
        self.problem.hide()
        self._show_face(QUESTION)
        self.accept()
        self._session.said.emit("Nothing is served any more", "ok")

    def _show_face(self, face: int) -> None:
        self._faces.setCurrentIndex(face)
        layout = self._all[face].layout()
        assert layout is not None
        given = layout.heightForWidth(WIDTH - 48) if layout.hasHeightForWidth() else 0
        self._faces.setFixedHeight((given or layout.sizeHint().height()) + 2)
        focus = (self.question.start, self.wait.stop, self.connection.hide_button)
        focus[face].setFocus(Qt.FocusReason.OtherFocusReason)
        self.adjustSize()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_face(self._faces.currentIndex())


def create(home: Home, model: str, folders: Sequence[str], port: int) -> Path:
    """The folder of a job that serves. Raises StudioError where it could only fail."""
    from studio.client import actions

    job = actions.serving_job(Path(model), [Path(folder) for folder in folders], port=port)
    jobs.sweep_over(home, "serve")
    return jobs.create(home, job)


def _explained(names: Sequence[str]) -> str:
    who = " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
    return (
        f"Starts a server for {who}, which programs use as they would use OpenAI's: editors, chat "
        "front ends, scripts. Only programs on this computer can reach it, and only with a key."
    )
