"""Work off the window's thread, answered on it."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeGuard, TypeVar

from PySide6.QtCore import QObject, QThreadPool, Signal
from shiboken6 import isValid

from studio.core.errors import StudioError

log = logging.getLogger(__name__)

Done = Callable[[Any], object]
Failed = Callable[[StudioError], object]
Progress = Callable[[str, float | None], object]
Callback = TypeVar("Callback", bound=Callable[..., object])


class Task(QObject):
    """One function under way. After `cancel()` none of its callbacks is called any more, nor is a
    method of a widget that is gone."""

    _returned = Signal(object)
    _raised = Signal(object)
    _reported = Signal(str, object)
    over = Signal()

    def __init__(
        self, done: Done | None, failed: Failed | None, progress: Progress | None, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._done, self._failed, self._progress = done, failed, progress
        self._cancelled = threading.Event()
        self._returned.connect(self._on_returned)
        self._raised.connect(self._on_raised)
        self._reported.connect(self._on_reported)

    def cancel(self) -> None:
        """Tell the function to stop, if it asks; its answer is dropped in any case."""
        self._cancelled.set()

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def report(self, text: str, share: float | None = None) -> None:
        """Called by the function, on its thread: what it does now, and how far it is (0..1)."""
        self._reported.emit(text, share)

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Run the function on the thread that calls this, and send what came of it."""
        try:
            self._returned.emit(function(*arguments, **self._handles(function)))
        except StudioError as error:
            self._raised.emit(error)
        except Exception as error:
            log.exception("a background task failed")
            self._raised.emit(_unexpected(error))

    def _handles(self, function: Callable[..., Any]) -> dict[str, Any]:
        """`progress` and `cancelled`, for the functions that take them."""
        offered = {"progress": self.report, "cancelled": self.cancelled}
        taken = _parameters(function)
        return {name: handle for name, handle in offered.items() if name in taken}

    def _on_returned(self, result: object) -> None:
        if self._heard(self._done):
            self._done(result)
        self.over.emit()

    def _on_raised(self, error: StudioError) -> None:
        if self._heard(self._failed):
            self._failed(error)
        self.over.emit()

    def _on_reported(self, text: str, share: float | None) -> None:
        if self._heard(self._progress):
            self._progress(text, share)

    def _heard(self, callback: Callback | None) -> TypeGuard[Callback]:
        """Whether there is still somebody to call."""
        if callback is None or self.cancelled():
            return False
        method: object = callback
        while isinstance(method, partial):
            method = method.func
        owner = getattr(method, "__self__", None)
        return not isinstance(owner, QObject) or isValid(owner)


class Pool(QObject):
    """Threads for tasks: `run` starts one, `close` ends them all."""

    def __init__(self, threads: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._threads = QThreadPool(self)
        self._threads.setMaxThreadCount(threads)
        self._threads.setExpiryTimeout(10_000)
        self._tasks: set[Task] = set()

    def run(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        done: Done | None = None,
        failed: Failed | None = None,
        progress: Progress | None = None,
    ) -> Task:
        """Call `function(*arguments)` on a thread; callbacks come on the window's thread.

        A function with a parameter `progress` gets a callable (text, share or None), one with a
        parameter `cancelled` gets a callable that says whether it should stop.
        """
        task = Task(done, failed, progress, self)
        self._tasks.add(task)
        task.over.connect(lambda: self._forget(task))
        self._threads.start(partial(task.run, function, arguments))
        return task

    def close(self, milliseconds: int = 5000) -> bool:
        """Cancel all, wait for them; False when one is still not done."""
        for task in self._tasks:
            task.cancel()
        self._threads.clear()
        return self._threads.waitForDone(milliseconds)

    def finish(self, milliseconds: int = 5000) -> bool:
        """Wait for all that was asked for; False when one is still not done."""
        return self._threads.waitForDone(milliseconds)

    def _forget(self, task: Task) -> None:
        self._tasks.discard(task)
        task.deleteLater()


def _unexpected(error: Exception) -> StudioError:
    return StudioError(
        "Something went wrong in the studio",
        f"{type(error).__name__}: {error}.",
        "The details are in the window's log; trying again does no harm.",
    )


def _parameters(function: Callable[..., Any]) -> Collection[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # a built-in function
        return ()
