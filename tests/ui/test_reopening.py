"""The training outlives the window: closed or killed, the next one shows it as if never left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from studio.client.keeper import quit_keeper
from studio.core import events as ev
from studio.core.queue import Queue
from studio.library import jobs, runs
from studio.library.folders import Home
from studio.ui import leaving
from studio.ui.main_window import MainWindow
from studio.ui.pages.runs import RunsPage
from studio.ui.session import Session
from tests.support.keeping import Bench

pytestmark = pytest.mark.gui
SOON = 8_000


class Windows:
    """One window after the other on the same home."""

    def __init__(self, home: Home, qtbot: QtBot) -> None:
        self._home, self._qtbot = home, qtbot
        self._all: list[MainWindow] = []

    def open(self) -> MainWindow:
        window = MainWindow(Session(self._home))
        self._all.append(window)
        window.show()
        window.session.start()
        return window

    def shows(self, window: MainWindow, folder: Path, seconds: float = 8.0) -> RunsPage:
        """The Runs page once this run is in view with its steps."""
        self._qtbot.waitUntil(lambda: window.current() == "runs", timeout=int(1000 * seconds))
        page = window.page("runs")
        assert isinstance(page, RunsPage)
        self._qtbot.waitUntil(
            lambda: page.run.folder == folder and page.run.state.step > 0,
            timeout=int(1000 * seconds),
        )
        return page

    def close(self) -> None:
        for window in self._all:
            window.hide()
            window.session.close()
            window.session.deleteLater()
            window.deleteLater()


@pytest.fixture
def windows(themed: object, bench: Bench, home: Home, qtbot: QtBot) -> Iterator[Windows]:
    made = Windows(home, qtbot)
    yield made
    made.close()


@pytest.fixture
def training(windows: Windows, bench: Bench, qtbot: QtBot) -> tuple[MainWindow, Path]:
    """A window, and a run at work that it started."""
    window, folder = windows.open(), bench.run("")
    window.session.worker.start_job(folder)
    window.session.open_run.emit(str(folder))
    windows.shows(window, folder)
    qtbot.waitUntil(lambda: bool(window.session.jobs), timeout=SOON)  # told a moment later
    return window, folder


def steps(page: RunsPage) -> list[float]:
    return page.run.series.train.x.tolist()


def test_closed_and_opened_again_within_two_seconds(
    training: tuple[MainWindow, Path],
    windows: Windows,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    window, folder = training
    monkeypatch.setattr(window, "ask_on_close", lambda: "keep")
    window.close()
    began = time.monotonic()
    again = windows.open()
    page = windows.shows(again, folder, 2.0)
    took = time.monotonic() - began
    assert took < 2.0
    qtbot.waitUntil(lambda: page.run.pill.text() == "Training", timeout=SOON)
    shown = steps(page)
    assert shown == [float(n) for n in range(1, len(shown) + 1)]
    assert page.run.buttons.pause.isVisible()


def test_it_is_found_when_the_keeper_is_gone_too(
    training: tuple[MainWindow, Path],
    windows: Windows,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    window, folder = training
    window.go("settings")
    monkeypatch.setattr(window, "ask_on_close", lambda: "keep")
    window.close()
    quit_keeper(home)
    assert jobs.living(folder)
    page = windows.shows(windows.open(), folder)
    shown = steps(page)
    assert shown == [float(n) for n in range(1, len(shown) + 1)]


def test_a_run_that_ended_meanwhile_is_still_in_view(
    training: tuple[MainWindow, Path],
    windows: Windows,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    window, folder = training
    monkeypatch.setattr(window, "ask_on_close", lambda: "stop")
    window.close()
    qtbot.waitUntil(lambda: runs.state_of(folder).state == "stopped", timeout=SOON)
    page = windows.shows(windows.open(), folder)
    assert page.shown_run == folder.name


def test_who_went_elsewhere_is_left_there(
    training: tuple[MainWindow, Path],
    windows: Windows,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    window, _ = training
    window.go("library")
    monkeypatch.setattr(window, "ask_on_close", lambda: "keep")
    window.close()
    again = windows.open()
    again.go("settings")
    qtbot.waitUntil(again.strip.job.isVisible, timeout=SOON)
    assert again.current() == "settings"


@pytest.mark.parametrize(("answer", "state"), [("pause", "paused"), ("stop", "stopped")])
def test_closing_ends_it_as_answered_and_the_queue_with_it(
    training: tuple[MainWindow, Path],
    windows: Windows,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
    answer: str,
    state: str,
) -> None:
    window, folder = training
    session, after = window.session, bench.run("")
    session.worker.queue_add(after)
    session.worker.queue_run(True)
    qtbot.waitUntil(lambda: session.queue.running, timeout=SOON)
    monkeypatch.setattr(window, "ask_on_close", lambda: answer)
    window.close()
    qtbot.waitUntil(lambda: runs.state_of(folder).state == state, timeout=SOON)
    with qtbot.waitSignal(window.destroyed, raising=False, timeout=300):
        pass  # a queue that goes on would start the next one now
    assert runs.state_of(after).state == "created"


def test_the_question_offers_all_three_and_names_the_queue(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    class Asked(leaving.ConfirmDialog):
        def ask(self) -> str:
            texts.append(self.accessibleDescription())
            assert list(self.buttons) == ["stop", "pause", "keep"]
            return "keep"

    session.queue = Queue(waiting=("a",), running=True)
    monkeypatch.setattr(leaving, "ConfirmDialog", Asked)
    assert leaving.ask(QWidget(), session) == "keep"
    assert "queue" in texts[0]


def test_a_run_of_a_newer_studio_shows_its_sentence(
    windows: Windows, home: Home, bench: Bench, qtbot: QtBot
) -> None:
    folder = bench.run("")
    log = folder / "events.jsonl"
    log.write_bytes(ev.encode(ev.Created(time=1.0, kind="train", format=99)) + b"\n")
    window = windows.open()
    window.session.open_run.emit(str(folder))
    page = window.page("runs")
    assert isinstance(page, RunsPage)
    qtbot.waitUntil(page.run.problem.isVisible, timeout=SOON)
    assert "newer" in page.run.problem.accessibleName()
    assert "can't be shown" in page.run.progress.step.text()
    assert not page.run.progress.share.text()
    assert not page.run.buttons.resume.isVisible()
    menu = page.run.buttons.menu()
    assert not any(act.isEnabled() for act in menu.actions())
    page.show_list()
    qtbot.waitUntil(lambda: page.list.model.rowCount() == 1, timeout=SOON)
    assert log.read_bytes().count(b"\n") == 1


def test_a_damaged_run_shows_its_sentence(windows: Windows, bench: Bench, qtbot: QtBot) -> None:
    folder = bench.run("")
    (folder / "recipe.yaml").write_bytes(b"\xff\xfe: [")
    jobs.append(folder, ev.Started(pid=1, total_steps=9))
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b"not json at all\n")
    jobs.append(folder, ev.Ended(code=1))
    window = windows.open()
    window.session.open_run.emit(str(folder))
    page = window.page("runs")
    assert isinstance(page, RunsPage)
    qtbot.waitUntil(page.run.problem.isVisible, timeout=SOON)
    assert "can't be read" in page.run.problem.accessibleName()
    qtbot.waitUntil(page.run.messages.warned.isVisible, timeout=SOON)
