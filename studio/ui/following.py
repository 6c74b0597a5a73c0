"""One job under the keeper, as the window sees it from its start to its end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from studio.core import run_state
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.events import AnyEvent
from studio.core.run_state import RunState
from studio.ui.session import Session


class Following(QObject):
    """Starts a job and hears how it goes; again once it has ended."""

    moved = Signal(str, object)
    """What it does now, and a share of 1 or None."""
    heard = Signal(object)
    """Each of its events."""
    finished = Signal(dict)
    """What it finished with."""
    cancelled = Signal()
    failed = Signal(object)
    """The StudioError by which it ended, or wasn't started."""

    def __init__(self, session: Session, what: str, parent: QObject) -> None:
        """`what` begins sentences: "The server" (ended early)."""
        super().__init__(parent)
        self._session = session
        self._what = what
        self._folder: Path | None = None
        self._unwanted = False
        self.state = RunState()
        self.living = False

    def begin(self, create: Callable[..., Path], *arguments: Any) -> None:
        """Have `create(*arguments)` write the job's folder in the background, and start it."""
        self.living, self._unwanted = True, False
        self.state = RunState()
        self.moved.emit("Starting", None)
        self._session.background(create, *arguments, done=self._created, failed=self._refused)

    def cancel(self) -> None:
        """End it; `cancelled` or `finished` say when."""
        self._unwanted = True
        if self._folder is not None:
            self._session.worker.tell(self._folder, Cancel(), failed=lambda _: None)

    def _created(self, folder: Path) -> None:
        if self._unwanted:
            self._session.background(_remove, folder)
            self._end()
            return
        self._folder = folder
        worker = self._session.worker
        worker.heard.connect(self._heard)
        worker.ended.connect(self._ended)
        worker.start_job(folder, None, done=self._watch, failed=self._refused)

    def _watch(self) -> None:
        if self._folder is not None:
            self._session.worker.watch(self._folder, failed=self._refused)
            if self._unwanted:
                self.cancel()

    def _refused(self, error: StudioError) -> None:
        self.living = False
        self._forget()
        self.failed.emit(error)

    def _heard(self, folder: str, found: list[AnyEvent]) -> None:
        if folder != str(self._folder):
            return
        self.state = run_state.replay(found, self.state)
        if self.state.state in ("created", "running"):
            self.moved.emit(self.state.stage or "Starting", self.state.share)
        for event in found:
            self.heard.emit(event)

    def _ended(self, folder: str) -> None:
        if folder == str(self._folder):
            self._end()

    def _end(self) -> None:
        self.living = False
        self._forget()
        state = self.state
        if state.state == "finished":
            self.finished.emit(dict(state.result))
        elif self._unwanted or state.state == "cancelled":
            self.cancelled.emit()
        else:
            text = state.text or "Its process ended without a word."
            self.failed.emit(
                StudioError(state.title or f"{self._what} ended early", text, state.fix)
            )

    def _forget(self) -> None:
        """The folder stays only where the job failed, for its log."""
        folder, self._folder = self._folder, None
        if folder is None:
            return
        worker = self._session.worker
        worker.heard.disconnect(self._heard)
        worker.ended.disconnect(self._ended)
        worker.unwatch(folder)
        if self._unwanted or self.state.state in ("finished", "cancelled"):
            self._session.background(_remove, folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
