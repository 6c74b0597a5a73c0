"""The window around the pages: navigation, the status strip, closing, and how it opens."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from studio.core.errors import StudioError
from studio.core.facts import Gpu, Machine
from studio.core.wire import JobRow
from studio.library.folders import Home
from studio.library.locks import Lock
from studio.ui import app as application
from studio.ui.background import Done
from studio.ui.main_window import PAGES, MainWindow, PageEntry
from studio.ui.session import Session
from studio.ui.widgets import Page, label

GIB = 1024**3


class PlainPage(Page):
    """A page that writes down what it is asked to open."""

    built = 0

    def __init__(self, session: Session) -> None:
        super().__init__()
        type(self).built += 1
        self.opened: list[tuple[object, ...]] = []
        self.body.addWidget(label("A page"))

    def open_run(self, folder: str) -> None:
        self.opened.append((folder,))

    def open_chat(self, model: str, adapters: list[str]) -> None:
        self.opened.append((model, adapters))


ENTRIES = tuple(
    PageEntry(entry.key, entry.title, entry.icon, f"{__name__}:PlainPage") for entry in PAGES
)


@pytest.fixture
def window(session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[PlainPage.__module__])
    made = MainWindow(session, ENTRIES)
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def row(**changes: object) -> JobRow:
    plain: dict[str, object] = {
        "folder": "/home/runs/tiny",
        "kind": "train",
        "name": "tiny",
        "state": "running",
    }
    return JobRow(**{**plain, **changes})  # type: ignore[arg-type]


def test_pages_are_built_on_their_first_visit(window: MainWindow, qtbot: QtBot) -> None:
    before = PlainPage.built
    assert window.current() == "new_run"
    qtbot.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert window.current() == "library"
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert PlainPage.built == before + 1


@pytest.mark.parametrize("number", range(1, 6))
def test_control_and_a_digit_opens_each_page(window: MainWindow, qtbot: QtBot, number: int) -> None:
    key = Qt.Key(Qt.Key.Key_0.value + number)
    qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
    assert window.current() == ENTRIES[number - 1].key


def test_a_started_run_opens_on_the_runs_page(window: MainWindow, session: Session) -> None:
    session.run_started.emit("/home/runs/tiny")
    page = window.page("runs")
    assert isinstance(page, PlainPage)
    assert window.current() == "runs"
    assert page.opened == [("/home/runs/tiny",)]


def test_a_chat_opens_with_its_adapters(window: MainWindow, session: Session) -> None:
    session.open_chat.emit("/models/tiny", ["/adapters/a"])
    page = window.page("chat")
    assert isinstance(page, PlainPage)
    assert page.opened == [("/models/tiny", ["/adapters/a"])]


class TestStrip:
    def test_shows_the_card(self, window: MainWindow, session: Session) -> None:
        gpu = Gpu(
            index=0,
            name="NVIDIA GeForce RTX 4090",
            total_bytes=24 * GIB,
            used_bytes=11 * GIB,
            free_bytes=13 * GIB,
            utilisation=97,
            temperature=66,
            power=312.4,
        )
        session.machine_changed.emit(Machine(gpus=(gpu,)))
        said = window.strip.machine.accessibleName()
        for part in ("RTX 4090", "66 °C", "11.0 of 24 GB", "97% · 312 W"):
            assert part in said

    def test_leaves_out_what_the_card_does_not_say(
        self, window: MainWindow, session: Session
    ) -> None:
        gpu = Gpu(index=0, name="Card", total_bytes=8 * GIB, used_bytes=0, free_bytes=8 * GIB)
        session.machine_changed.emit(Machine(gpus=(gpu,)))
        said = window.strip.machine.accessibleName()
        assert "None" not in said
        assert "°" not in said

    def test_shows_processor_and_engine_without_a_card(
        self, window: MainWindow, session: Session, qtbot: QtBot
    ) -> None:
        cpu = "Intel(R) Xeon(R) CPU @ 2.20GHz"
        machine = Machine(cpu=cpu, cores=2, ram_total_bytes=16 * GIB, ram_free_bytes=9 * GIB)
        session.machine_changed.emit(machine)
        session.jobs_changed.emit([row(memory_bytes=GIB)])
        assert "Intel Xeon, 7.0 of 16 GB, 2 cores" in window.strip.machine.accessibleName()
        assert "Training uses 1.0 GB" in [w.text() for w in _visible_labels(window.strip)]

    def test_a_click_on_the_job_opens_its_run(
        self, window: MainWindow, session: Session, qtbot: QtBot
    ) -> None:
        session.jobs_changed.emit([row(kind="merge"), row(share=0.643, eta_seconds=900.0)])
        button = window.strip.job
        assert button.accessibleName() == "Open tiny: 64% 15 min left"
        with qtbot.waitSignal(session.open_run) as heard:
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert heard.args == ["/home/runs/tiny"]

    def test_a_job_that_is_no_run_has_a_title_and_opens_its_page(
        self, window: MainWindow, session: Session, qtbot: QtBot
    ) -> None:
        session.jobs_changed.emit([row(kind="merge", name="merge-3f2a", stage="Reading")])
        assert window.strip.job.accessibleName() == "Open Merging an adapter:  Reading"
        qtbot.mouseClick(window.strip.job, Qt.MouseButton.LeftButton)
        assert window.current() == "library"

    def test_says_when_the_keeper_is_out_of_reach(
        self, window: MainWindow, session: Session
    ) -> None:
        session.lost.emit("The keeper could not be started.")
        assert "Not connected, trying again" in [w.text() for w in _visible_labels(window.strip)]
        session.machine_changed.emit(Machine(ram_total_bytes=8 * GIB, ram_free_bytes=4 * GIB))
        assert "4.0 of 8.0 GB" in window.strip.machine.accessibleName()

    def test_the_job_goes_when_it_ends(self, window: MainWindow, session: Session) -> None:
        session.jobs_changed.emit([row()])
        assert window.strip.job.isVisible()
        session.jobs_changed.emit([row(kind="chat")])
        assert not window.strip.job.isVisible()


class TestClosing:
    @pytest.fixture
    def training(self, session: Session) -> None:
        session.jobs = [row()]

    @pytest.mark.usefixtures("training")
    def test_cancel_stays(self, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(window, "ask_on_close", lambda: "")
        window.close()
        assert window.isVisible()

    @pytest.mark.usefixtures("training")
    def test_training_goes_on_in_the_background(
        self, window: MainWindow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(window, "ask_on_close", lambda: "keep")
        window.close()
        assert not window.isVisible()

    def test_nothing_is_asked_when_nothing_trains(
        self, window: MainWindow, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session.jobs = [row(kind="chat")]
        monkeypatch.setattr(window, "ask_on_close", lambda: pytest.fail("asked"))
        window.close()
        assert not window.isVisible()

    def test_size_and_page_come_back(
        self, window: MainWindow, session: Session, home: Home, qtbot: QtBot
    ) -> None:
        window.resize(1100, 700)
        window.go("library")
        window.close()
        again = MainWindow(Session(home, session), ENTRIES)
        qtbot.addWidget(again)
        assert again.current() == "library"
        assert again.size().height() == 700


def test_an_uncaught_error_is_a_sentence_and_its_traceback_a_log_entry(
    window: MainWindow,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(application.threading, "excepthook", application.threading.excepthook)
    application.catch_everything(session)
    try:
        raise ValueError("seven")
    except ValueError as error:
        caplog.set_level(logging.CRITICAL)
        sys.excepthook(type(error), error, error.__traceback__)
    assert window.banner.isVisible()
    assert "seven" in window.banner.accessibleName()
    assert "Traceback" not in window.banner.accessibleName()
    assert "Traceback" in caplog.text


class TestBackground:
    def test_the_answer_comes_on_the_windows_thread(self, session: Session, qtbot: QtBot) -> None:
        heard: list[tuple[int, int]] = []
        session.background(
            threading.get_ident, done=lambda ident: heard.append((ident, threading.get_ident()))
        )
        qtbot.waitUntil(lambda: bool(heard))
        worked, answered = heard[0]
        assert answered == threading.get_ident()
        assert worked != answered

    def test_progress_and_errors_arrive(self, session: Session, qtbot: QtBot) -> None:
        def work(progress: object) -> None:
            assert callable(progress)
            progress("Half", 0.5)
            raise StudioError("No", "It failed.", "Try again.")

        heard: list[object] = []
        session.background(
            work, failed=lambda e: heard.append(e.title), progress=lambda *p: heard.append(p)
        )
        qtbot.waitUntil(lambda: len(heard) == 2)
        assert heard == [("Half", 0.5), "No"]

    def test_a_cancelled_task_says_nothing_more(self, session: Session, qtbot: QtBot) -> None:
        def work(cancelled: object) -> str:
            assert callable(cancelled)
            while not cancelled():
                time.sleep(0.001)
            return "late"

        heard: list[object] = []
        task = session.background(work, done=heard.append)
        task.cancel()
        with qtbot.waitSignal(task.over):
            pass
        assert heard == []

    @pytest.mark.parametrize("wrap", [lambda call: call, partial], ids=["method", "partial"])
    def test_a_widget_that_is_gone_is_not_told(
        self, wrap: Callable[[Callable[[str], None]], Done], session: Session, qtbot: QtBot
    ) -> None:
        gone = QLabel()
        go = threading.Event()

        def work() -> str:
            go.wait(10)
            return "late"

        task = session.background(work, done=wrap(gone.setText))
        shiboken6.delete(gone)
        with qtbot.waitSignal(task.over):  # a call of the dead label would fail the test
            go.set()

    def test_an_unheard_error_goes_to_the_head_of_the_window(
        self, window: MainWindow, session: Session, qtbot: QtBot
    ) -> None:
        def work() -> None:
            raise StudioError("No disk", "The disk is full.", "Free some.")

        session.background(work)
        qtbot.waitUntil(window.banner.isVisible)
        assert window.banner.title() == "No disk"
        assert window.banner.height() < 120


class TestOpening:
    def test_imports_nothing_heavy(self) -> None:
        heavy = "torch transformers datasets peft numpy pyqtgraph pynvml tokenizers pyarrow"
        code = (
            "import sys, studio.ui.app, studio.ui.pages.new_run\n"
            "from studio.ui.pages.new_run.step import STEPS\n"
            "[__import__(step.where.split(':')[0]) for step in STEPS]\n"
            f"print(*[name for name in '{heavy}'.split() if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == ""

    def test_a_second_window_on_the_same_library_is_refused(
        self, home: Home, qapp: QApplication, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lock = Lock(home.root / "window.lock")
        assert lock.acquire()
        try:
            assert application.main(["--home", str(home.root)]) == 1
        finally:
            lock.release()
        said = capsys.readouterr().err.strip()
        assert said.startswith("Another window is open on the library")
        assert "\n" not in said

    def test_a_home_that_cannot_be_made_is_a_sentence(
        self, tmp_path: Path, qapp: QApplication, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("in the way", encoding="utf-8")
        assert application.main(["--home", str(tmp_path / "file" / "home")]) == 1
        assert "can't be written" in capsys.readouterr().err

    def test_it_says_when_it_first_painted(self, home: Home, tmp_path: Path) -> None:
        told = tmp_path / "painted.json"
        began = time.time()
        environment = {**os.environ, application.FIRST_PAINT: str(told)}
        code = (
            "import sys, studio.ui.session as s\n"
            "from PySide6.QtCore import QCoreApplication, QTimer\n"
            "s.Session.start = lambda self: QTimer.singleShot(0, QCoreApplication.quit)\n"
            "from studio.ui.app import main\n"
            f"sys.exit(main(['--home', {str(home.root)!r}]))"
        )
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
        times = json.loads(told.read_text(encoding="utf-8"))
        assert began < times["first_paint"] <= times["interactive"] <= time.time()


def _visible_labels(widget: QWidget) -> list[object]:
    return [child for child in widget.findChildren(type(label())) if child.isVisible()]
