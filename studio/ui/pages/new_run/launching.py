"""From a finished recipe to a run at work, or to one that waits in the queue."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from studio.core.errors import StudioError
from studio.core.recipe import Recipe
from studio.library.folders import Home
from studio.ui.background import Task
from studio.ui.session import Session
from studio.ui.widgets import ConfirmDialog


def prepare(preparer: Any, home: Home, recipe: Recipe, progress: Any, cancelled: Any) -> Path:
    """Create the run and tokenize its rows; the run's folder."""
    from studio.client.actions.runs import prepare_run

    return prepare_run(home, recipe, preparer=preparer, progress=progress, cancelled=cancelled)


class Launcher(QObject):
    """One run at a time: prepared, then started or queued."""

    progressed = Signal(str, object)
    """What is done now, and how much of it (0..1) where that is known."""
    started = Signal(str)
    queued = Signal(str)
    failed = Signal(object)

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._task: Task | None = None
        self._busy = False

    @property
    def busy(self) -> bool:
        return self._busy

    def start(self, recipe: Recipe) -> None:
        """Prepare the run and have it started."""
        self._prepare(recipe, self._start)

    def enqueue(self, recipe: Recipe, run: bool) -> None:
        """Prepare the run and put it into the queue; `run` also starts the queue."""
        self._prepare(recipe, partial(self._enqueue, run))

    def cancel(self) -> bool:
        """Stop preparing; False where that is done already."""
        if self._task is None:
            return False
        self._task.cancel()
        self._over()
        return True

    def _prepare(self, recipe: Recipe, then: Any) -> None:
        self._busy = True
        self._task = self._session.prepare(
            prepare,
            self._session.home,
            recipe,
            done=then,
            failed=self._fail,
            progress=self.progressed.emit,
        )
        self.progressed.emit("Preparing the run", None)

    def _start(self, folder: Path) -> None:
        self._task = None  # what the keeper is asked for can't be taken back
        self.progressed.emit("Starting", None)
        done = partial(self._end, self.started, folder)
        self._session.worker.start_job(folder, None, done, self._fail)

    def _enqueue(self, run: bool, folder: Path) -> None:
        self._task = None
        done = partial(self._end, self.queued, folder)
        self._session.worker.queue_add(folder, None, done, self._fail)
        if run and not self._session.queue.running:
            self._session.worker.queue_run(True)

    def _end(self, signal: Any, folder: Path) -> None:
        self._over()
        signal.emit(str(folder))

    def _fail(self, error: StudioError) -> None:
        self._over()
        self.failed.emit(error)

    def _over(self) -> None:
        self._task, self._busy = None, False


def ask(window: QWidget, name: str) -> str:
    """Another run, `name`, is training: queue, start, or "" for neither."""
    return ConfirmDialog(
        window,
        "Another run is training",
        f"“{name}” is at work. Two runs at once share the memory and slow each other down, and "
        "may not fit. In the queue, this one starts by itself when its turn comes.",
        [("start", "Start anyway", ""), ("queue", "Add to queue", "primary")],
        icon_name="activity",
    ).ask()
