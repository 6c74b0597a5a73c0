"""One job of the library under the keeper, as the window sees it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from studio.core import run_state
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.events import AnyEvent
from studio.core.run_state import RunState
from studio.library.adapters import AdapterFacts
from studio.ui.session import Session


class AtWork(QObject):
    """Start it once. It goes on under the keeper when the window is closed."""

    moved = Signal(str, object)
    """What it does now, and a share of 1 or None."""
    finished = Signal(dict)
    """The result: path, bytes, seconds, passport."""
    cancelled = Signal()
    failed = Signal(object)
    """The StudioError by which it ended, or wasn't started."""

    def __init__(self, session: Session, facts: AdapterFacts, what: str, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._what = session, what
        self.facts = facts
        self.state = RunState()
        self._folder: Path | None = None
        self._unwanted = False
        self.living = False

    def begin(self, create: Callable[..., Path], *arguments: object) -> None:
        """Have the job's folder made in the background, and hand it to the keeper."""
        self.living, self._unwanted = True, False
        self.state = RunState()
        self.moved.emit("Looking at base and target", None)
        self._session.background(create, *arguments, done=self._created, failed=self._refused)

    def cancel(self) -> None:
        """End it and keep nothing."""
        self._unwanted = True
        if self._folder is not None:
            self._session.worker.tell(self._folder, Cancel())

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
        assert self._folder is not None
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
        if self.state.state in ("finished", "cancelled"):
            self._session.background(_remove, folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
