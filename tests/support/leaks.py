"""A test that leaves a thread, a process or a running timer behind fails, and says which."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

GRACE = 5.0  # seconds for what is ending to end
_timers: weakref.WeakSet[Any] = weakref.WeakSet()
_qthreads: weakref.WeakSet[Any] = weakref.WeakSet()


@pytest.fixture(autouse=True)
def no_leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compare threads, processes and Qt's timers and threads after the test with before."""
    _watch_qt()
    threads, pids = set(threading.enumerate()), set(psutil.pids())
    timers = {id(timer) for timer in _running(_timers, "isActive")}
    ours = str(tmp_path_factory.getbasetemp()) + os.sep
    yield

    def left() -> list[str]:
        _settle_qt()
        return [
            *(f"thread {t.name}" for t in _new_threads(threads)),
            *(f"process {p.pid}: {_command(p)}" for p in _new_processes(pids, ours)),
            *(f"QTimer {t}" for t in _running(_timers, "isActive") if id(t) not in timers),
            *(f"QThread {t}" for t in _running(_qthreads, "isRunning")),
            *_busy_pool(),
        ]

    if leaked := _until_empty(left):
        for process in _new_processes(pids, ours):
            process.kill()
        pytest.fail("left behind:\n" + "\n".join(leaked), pytrace=False)


def _until_empty(left: Callable[[], list[str]]) -> list[str]:
    end = time.monotonic() + GRACE
    while (leaked := left()) and time.monotonic() < end:
        time.sleep(0.02)
    return leaked


def _new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """Without foreign threads that once ran Python (those of Qt are counted by Qt)."""
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before
        and not isinstance(thread, threading._DummyThread)
        and type(thread).__name__ != "TMonitor"  # tqdm's, one for the whole process
    ]


def _new_processes(before: set[int], ours: str) -> list[psutil.Process]:
    """New children, and detached processes that work in this session's temporary folders."""
    children = {p.pid for p in psutil.Process().children(recursive=True)}
    new = []
    for pid in set(psutil.pids()) - before:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE and pid not in children:
                continue
            command = _command(process)
        except psutil.Error:
            continue
        mine = pid in children or ours in command
        if mine and "multiprocessing.resource_tracker" not in command:  # one a process, stays
            new.append(process)
    return new


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return "(gone)"


def _watch_qt() -> None:
    """From now on remember every QTimer and QThread that is started."""
    core = sys.modules.get("PySide6.QtCore")
    if core is None or hasattr(core, "_watched_for_leaks"):
        return
    core._watched_for_leaks = True  # type: ignore[attr-defined]
    _remember(core.QTimer, _timers)
    _remember(core.QThread, _qthreads)


def _remember(kind: Any, seen: weakref.WeakSet[Any]) -> None:
    start = kind.start

    def remembered(self: Any, *arguments: Any) -> Any:
        seen.add(self)
        return start(self, *arguments)

    kind.start = remembered


def _running(seen: weakref.WeakSet[Any], question: str) -> list[Any]:
    if not seen:
        return []
    import shiboken6

    return [x for x in list(seen) if shiboken6.isValid(x) and getattr(x, question)()]


def _settle_qt() -> None:
    """Let Qt delete what was given up with deleteLater."""
    core = sys.modules.get("PySide6.QtCore")
    if core is not None and (app := core.QCoreApplication.instance()) is not None:
        app.sendPostedEvents(None, core.QEvent.Type.DeferredDelete.value)
        app.processEvents()


def _busy_pool() -> list[str]:
    core = sys.modules.get("PySide6.QtCore")
    busy = core.QThreadPool.globalInstance().activeThreadCount() if core else 0
    return [f"{busy} busy threads of QThreadPool"] if busy else []
