"""What the pages of a window share: home, settings, worker, preparer and their news."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from PySide6.QtCore import QObject, Signal

from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.core.queue import Queue
from studio.core.wire import JobRow
from studio.library import settings as stored
from studio.library.folders import Home
from studio.library.settings import Settings
from studio.ui.background import Done, Failed, Pool, Progress, Task
from studio.ui.theme import Theme, theme

if TYPE_CHECKING:
    from studio.client.preparer import Preparer
    from studio.ui.worker import Worker

log = logging.getLogger(__name__)


class Session(QObject):
    """One window on one home folder. Pages talk to each other through its signals alone."""

    run_started = Signal(str)
    """A run's folder: it was just handed to the keeper."""
    library_changed = Signal()
    models_changed = Signal()
    settings_changed = Signal()
    machine_changed = Signal(object)
    """core.facts.Machine, about once a second while the window is open."""
    jobs_changed = Signal(list)
    """list[core.wire.JobRow]: all living jobs."""
    queue_changed = Signal(object)
    """core.queue.Queue: what waits for its turn."""
    lost = Signal(str)
    """The keeper can't be reached, and why; the worker goes on trying."""
    started = Signal()
    """Worker and preparer can be used from now on (after the first paint)."""
    open_page = Signal(str)
    open_run = Signal(str)
    open_queue = Signal()
    model_wanted = Signal(str)
    """A hub model's id: a new run is to start from it."""
    open_chat = Signal(str, list)
    """A model's folder and the folders of adapters to load with it."""
    open_serving = Signal(str, list)
    """A model's folder and the folders of adapters that other programs are to talk with."""
    open_mix = Signal(list)
    """The folders of adapters to mix; the Library offers it while somebody listens."""
    open_export = Signal(str, str)
    """The folder of an adapter to export, and the format where it is known ("" else); the Library
    offers it while somebody listens."""
    recipe_wanted = Signal(str)
    """A recipe's file: a new run is to start from it."""
    said = Signal(str, str)
    """A remark that passes by: text, and ok, info, warn or err."""
    failed = Signal(object)
    """A StudioError that has no better place than the head of the window."""

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = home
        self.settings = stored.load(home)
        self.machine: Machine | None = None
        self.jobs: list[JobRow] = []
        self.queue = Queue()
        self._pool = Pool(4, self)
        self._preparing = Pool(3, self)  # the rows, what is quick, the hub
        self._writing = Pool(1, self)
        self._worker: Worker | None = None
        self._preparer: Preparer | None = None

    @property
    def theme(self) -> Theme:
        return theme()

    @property
    def worker(self) -> Worker:
        """The thread that speaks with the keeper; there once `started` was emitted."""
        if self._worker is None:
            raise RuntimeError("the session has not been started")
        return self._worker

    @property
    def running(self) -> bool:
        """Whether `start` was called, so that the worker can be asked."""
        return self._worker is not None

    def start(self) -> None:
        """Connect to the keeper in the background. Called after the first paint."""
        from studio.ui.worker import Worker

        if self._worker is not None:
            return
        self._worker = Worker(self.home, self)
        self._worker.machine.connect(self._machine)
        self._worker.jobs.connect(self._jobs)
        self._worker.queue.connect(self._queue)
        self._worker.lost.connect(self.lost)
        self._worker.refused.connect(self.failed)
        self._worker.start()
        self.started.emit()

    def close(self) -> None:
        """End every thread and the preparer. What trains goes on under the keeper."""
        if self._preparer is not None:
            self._preparer.close()
        self._writing.finish()
        self._preparing.close()
        self._pool.close()
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def background(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        done: Done | None = None,
        failed: Failed | None = None,
        progress: Progress | None = None,
    ) -> Task:
        """Call a slow function on a thread; see `background.Pool.run`. Unheard errors are shown."""
        tell = failed or self.failed.emit
        return self._pool.run(function, *arguments, done=done, failed=tell, progress=progress)

    def prepare(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        done: Done | None = None,
        failed: Failed | None = None,
        progress: Progress | None = None,
    ) -> Task:
        """Like `background`, with the preparer as first argument; what is quick may overtake."""
        tell = failed or self.failed.emit
        return self._preparing.run(
            function, self.preparer(), *arguments, done=done, failed=tell, progress=progress
        )

    def write(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        done: Done | None = None,
        failed: Failed | None = None,
    ) -> Task:
        """Like `background`, for saving: one after the other, and all done before the end."""
        tell = failed or self.failed.emit
        return self._writing.run(function, *arguments, done=done, failed=tell)

    def preparer(self) -> Preparer:
        """The client of the warm preparer process, which starts with the first question."""
        if self._preparer is None:
            from studio.client.preparer import Preparer

            self._preparer = Preparer(self.home)
        return self._preparer

    def change_settings(self, **changes: Any) -> None:
        """Change settings now, and save them in the background."""
        self.settings = msgspec.structs.replace(self.settings, **changes)
        if "theme" in changes:
            self.theme.apply(self.settings.theme)
        self.write(stored.save, self.home, self.settings)
        self.settings_changed.emit()

    def save_settings_now(self, settings: Settings) -> None:
        """Save while the window closes; an error is logged, for nobody is there to read it."""
        self.settings = settings
        try:
            stored.save(self.home, settings)
        except StudioError:
            log.exception("settings not saved at the end")

    def _machine(self, machine: Machine) -> None:
        self.machine = machine
        self.machine_changed.emit(machine)

    def _jobs(self, jobs: list[JobRow]) -> None:
        self.jobs = jobs
        self.jobs_changed.emit(jobs)

    def _queue(self, queue: Queue) -> None:
        self.queue = queue
        self.queue_changed.emit(queue)
