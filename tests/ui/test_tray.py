"""Tray, keys and news: what acts on the training at work, whatever page is in view."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QSystemTrayIcon
from pytestqt.qtbot import QtBot

from studio.core import events as ev
from studio.core.guard import Rules
from studio.core.queue import Queue
from studio.core.run_state import RunState
from studio.library import runs
from studio.library.folders import Home
from studio.library.settings import Settings
from studio.ui import news
from studio.ui.main_window import MainWindow
from studio.ui.session import Session
from studio.ui.tray import Tray, standing
from tests.support import logs
from tests.support.keeping import Bench

pytestmark = pytest.mark.gui
SOON = 8_000
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A desktop with a tray; what it was asked to show."""
    told: list[tuple[str, str]] = []

    def show(icon: QSystemTrayIcon, title: str, text: str, *_: object) -> None:
        told.append((title, text))

    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: True)
    for name, up in (("show", True), ("hide", False)):
        monkeypatch.setattr(QSystemTrayIcon, name, lambda icon, shown=up: _put(icon, shown))
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", show)
    return told


@pytest.fixture
def window(
    bench: Bench, desktop: list[tuple[str, str]], session: Session, qtbot: QtBot
) -> Iterator[MainWindow]:
    made = MainWindow(session)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    with qtbot.waitSignal(session.machine_changed, timeout=SOON):
        session.start()
    yield made
    made.hide()
    if made.tray is not None:
        made.tray.close()
    session.close()
    made.deleteLater()


def _put(icon: QSystemTrayIcon, up: bool) -> None:
    icon.setProperty("up", up)


def tray_of(window: MainWindow) -> Tray:
    assert window.tray is not None
    return window.tray


def begin(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    window.session.worker.start_job(folder)
    qtbot.waitUntil(lambda: window.trainings.can_pause, timeout=SOON)


def trigger(act: QAction, qtbot: QtBot) -> None:
    qtbot.waitUntil(act.isEnabled, timeout=SOON)
    act.trigger()


def state_is(folder: Path, state: str) -> Callable[[], bool]:
    return lambda: runs.state_of(folder).state == state


def test_pause_resume_and_stop_from_the_tray(
    window: MainWindow, bench: Bench, qtbot: QtBot
) -> None:
    folder = bench.run("")
    tray = tray_of(window)
    assert tray.icon is not None
    assert "Nothing is training" in tray.icon.toolTip()
    assert not any(act.isEnabled() for act in (tray.pause, tray.resume, tray.stop))
    begin(window, folder, qtbot)
    assert folder.name in tray.icon.toolTip()
    trigger(tray.pause, qtbot)
    qtbot.waitUntil(state_is(folder, "paused"), timeout=SOON)
    qtbot.waitUntil(lambda: f"{folder.name} is paused" in standing(window.trainings), timeout=SOON)
    trigger(tray.resume, qtbot)
    qtbot.waitUntil(state_is(folder, "running"), timeout=SOON)
    trigger(tray.stop, qtbot)
    qtbot.waitUntil(state_is(folder, "stopped"), timeout=SOON)


def test_the_same_by_keys_on_any_page(window: MainWindow, bench: Bench, qtbot: QtBot) -> None:
    folder = bench.run("")
    window.go("library")
    begin(window, folder, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_P, CONTROL)
    qtbot.waitUntil(lambda: window.trainings.can_resume, timeout=SOON)
    assert runs.state_of(folder).state == "paused"
    qtbot.keyClick(window, Qt.Key.Key_P, CONTROL)
    qtbot.waitUntil(lambda: window.trainings.can_pause, timeout=SOON)
    qtbot.keyClick(window, Qt.Key.Key_S, CONTROL | SHIFT)
    qtbot.waitUntil(state_is(folder, "stopped"), timeout=SOON)
    assert window.current() == "library"


def test_a_run_that_fails_is_told_to_who_looks_elsewhere(
    window: MainWindow, desktop: list[tuple[str, str]], bench: Bench, qtbot: QtBot
) -> None:
    window.hide()
    folder = bench.run("step:3,gate:open,failed")
    begin(window, folder, qtbot)
    (folder / "open").touch()
    qtbot.waitUntil(lambda: bool(desktop), timeout=SOON)
    assert desktop == [(f"“{folder.name}”: Bad rows", "No row is left.")]


def test_in_the_window_it_is_a_remark(
    window: MainWindow, desktop: list[tuple[str, str]], session: Session, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(session.said) as heard:
        tray_of(window).tell("It ended", "All is well.", "ok")
    assert heard.args == ["It ended", "ok"]
    assert desktop == []


def test_quit_closes_the_window_and_takes_the_icon_down(window: MainWindow, qtbot: QtBot) -> None:
    tray = tray_of(window)
    assert tray.icon is not None
    assert tray.icon.property("up")
    tray.quit.trigger()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert not tray.icon.property("up")


def test_a_click_on_the_icon_shows_the_window(window: MainWindow, qtbot: QtBot) -> None:
    tray = tray_of(window)
    window.showMinimized()
    assert tray.icon is not None
    tray.icon.activated.emit(QSystemTrayIcon.ActivationReason.Trigger)
    assert not window.isMinimized()


def test_the_countdown_is_told_once(
    window: MainWindow, desktop: list[tuple[str, str]], session: Session
) -> None:
    window.hide()
    for left in (2.0e9, 2.0e9 + 1, 0.0, 2.0e9 + 2):
        session._queue(Queue(then="sleep", then_at=left))
    assert [title for title, _ in desktop] == ["All runs of the queue are done"] * 2
    assert not window.countdown.isHidden()
    session._queue(Queue())


def test_what_waits_is_in_the_strip_and_opens(
    session: Session, home: Home, qtbot: QtBot, bench: Bench
) -> None:
    later = [time.strftime("%H:00", time.localtime(time.time() + 3600 * n)) for n in (3, 4)]
    session.save_settings_now(Settings(guard=Rules(hours="-".join(later))))
    waiting = [ev.Paused(time=9.0, checkpoint="c", step=5, reason="hours"), ev.Ended(time=9.0)]
    folder = logs.write(home, "night", logs.training(5, 10), waiting)
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.show()
    session.start()
    qtbot.waitUntil(window.strip.job.isVisible, timeout=SOON)
    assert "Waiting: these are not the hours" in window.strip.job.accessibleName()
    assert window.trainings.waits
    qtbot.mouseClick(window.strip.job, Qt.MouseButton.LeftButton)
    assert window.current() == "runs"
    qtbot.waitUntil(lambda: session.machine is not None, timeout=SOON)  # its keeper has begun
    window.hide()
    assert runs.state_of(folder).state == "paused"


def test_without_a_tray_nothing_breaks(session: Session, qtbot: QtBot) -> None:
    window = MainWindow(session)
    qtbot.addWidget(window)
    tray = Tray(session, window, window.trainings)
    assert tray.icon is None
    tray.tell("It ended", "All is well.", "ok")
    tray.refresh()
    tray.close()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (RunState(state="finished"), "“a” is finished"),
        (RunState(state="crashed", title="The engine was killed"), "“a”: The engine was killed"),
        (RunState(state="paused", pause_reason="heat"), "“a” waits: the card is too hot"),
        (
            RunState(state="paused", pause_reason="disk"),
            "“a” is paused: the disk is nearly full",
        ),
    ],
)
def test_news(state: RunState, said: str) -> None:
    found = news.of_run(Path("a"), state)
    assert found is not None
    assert found[0] == said


@pytest.mark.parametrize("state", ["paused", "stopped", "cancelled", "running"])
def test_what_the_user_asked_for_is_no_news(state: str) -> None:
    assert news.of_run(Path("a"), RunState(state=state)) is None  # type: ignore[arg-type]
