"""Use it in other programs: start a server, say how to connect, stop it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QWidget

from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Serving
from studio.library import jobs, serving
from studio.library.folders import Home
from studio.ui.following import Following
from studio.ui.pages.serving.faces import Connection, Question, Wait
from studio.ui.session import Session
from studio.ui.widgets import FacesDialog

WIDTH = 560
QUESTION, WAIT, CONNECTION = range(3)


class ServingDialog(FacesDialog):
    """One server at a time, that of this window. Closed, it goes on serving."""

    def __init__(self, parent: QWidget, session: Session) -> None:
        super().__init__(parent, "globe", "", "Use it in other programs")
        self._session = session
        self._model = ""
        self._adapters: tuple[str, ...] = ()
        self.server = Following(session, "The server", self)
        self.question, self.wait, self.connection = Question(), Wait(), Connection()
        self.add_face(self.question, focus=lambda: self.question.start, width=WIDTH)
        self.add_face(self.wait, focus=lambda: self.wait.stop, width=WIDTH)
        self.add_face(self.connection, focus=lambda: self.connection.hide_button, width=WIDTH)
        self._connect()

    def open_for(self, model: str, folders: Sequence[str]) -> None:
        """Ask about serving this model with these adapters; what serves already is shown."""
        if not self.server.living:
            self._model, self._adapters = model, tuple(folders)
            names = [Path(model).name, *(Path(folder).name for folder in folders)]
            self.title.setText(f"Use {names[-1]} in other programs")
            self.question.text.setText(_explained(names))
            self.problem.hide()
            self.show_face(QUESTION)
        elif (model, tuple(folders)) != (self._model, self._adapters):
            self.problem.show_message(
                "Another model is served", "One is served at a time.", "Stop it first.", "info"
            )
        self.reopen()

    def reopen(self) -> None:
        """Come to the front as it is."""
        self.show()
        self.show_face(self.face)
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
            text = "A port is a number up to 65535."
            self.refuse(StudioError("No such port", text, "Leave it empty."))
            return
        self.problem.hide()
        self._enable_stopping(True)
        self.show_face(WAIT)
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
            if self.face != CONNECTION:
                self.connection.state.show_as("Serving", "ok")
                self.show_face(CONNECTION)

    def _failed(self, error: StudioError) -> None:
        self.refuse(error)
        if not self.isVisible():
            self._session.failed.emit(error)

    def _ended(self, _result: dict[str, Any] | None = None) -> None:
        self.problem.hide()
        self.show_face(QUESTION)
        self.accept()
        self._session.said.emit("Nothing is served any more", "ok")


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
