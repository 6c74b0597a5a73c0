"""What a window shows first: what was in view when the last one went, or the living training."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from studio.core.wire import JobRow
from studio.ui.session import Session


class Reopening(QObject):
    """Acts once, and only while nobody has gone to another page."""

    def __init__(self, session: Session, page: str, parent: QWidget) -> None:
        """`page` is the key of the page the window opened on."""
        super().__init__(parent)
        self._session = session
        self._page = self._now = page
        self._opened = self._looked = False
        run = session.settings.window.get("run", "")
        self._run = session.home.runs / run if run and page == "runs" else None
        session.started.connect(self._started)
        session.jobs_changed.connect(self._find_training)

    def went_to(self, page: str) -> None:
        """The window shows this page now."""
        self._now = page

    def _started(self) -> None:
        if self._run is not None:
            self._session.background(_still_there, self._run, done=self._open)

    def _find_training(self, jobs: list[JobRow]) -> None:
        """A training that went on without a window is shown as if nobody had left."""
        training = [job.folder for job in jobs if job.kind == "train"]
        if training and not self._looked and str(self._run) not in training:
            self._open(training[0])
        self._looked = True

    def _open(self, folder: str) -> None:
        if folder and not self._opened and self._now == self._page:
            self._opened = True
            self._session.open_run.emit(folder)


def _still_there(folder: Path) -> str:
    return str(folder) if folder.is_dir() else ""
