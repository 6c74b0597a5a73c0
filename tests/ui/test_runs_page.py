"""The Runs page over a real keeper and the fake engine, with real clicks and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import QMenu, QPushButton
from pytestqt.qtbot import QtBot

from studio.core import events as ev
from studio.core.facts import Gpu, Machine
from studio.core.run_state import RunState
from studio.library import jobs, trash
from studio.library.folders import Home
from studio.ui.pages.runs import RunsPage
from studio.ui.pages.runs.activity import words
from studio.ui.run_controller import RunController
from studio.ui.session import Session
from tests.support import logs
from tests.support.keeping import Bench
from tests.ui.show import Show

pytestmark = pytest.mark.gui
SOON = 20_000


@pytest.fixture
def page(bench: Bench, session: Session, show: Show, qtbot: QtBot) -> Iterator[RunsPage]:
    """The page in its own window, with a keeper behind it."""
    made = RunsPage(session)
    made.resize(1056, 800)
    with qtbot.waitSignal(session.machine_changed, timeout=SOON):
        session.start()
    show(made)
    yield made
    made.hide()


def _click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=SOON)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _answer(qtbot: QtBot, controller: RunController, act: Callable[[], None]) -> QTimer:
    """Do this to the controller's dialog as soon as it is there; stop the timer afterwards."""
    timer = QTimer()

    def look() -> None:
        if controller.dialog is not None and controller.dialog.isVisible():
            timer.stop()
            act()

    timer.timeout.connect(look)
    timer.start(10)
    return timer


def _open(page: RunsPage, folder: Path, qtbot: QtBot) -> None:
    page.open_run(str(folder))
    qtbot.waitUntil(lambda: page.run.state.created_at > 0, timeout=SOON)


def test_nothing_yet(page: RunsPage, session: Session, qtbot: QtBot) -> None:
    with qtbot.waitSignal(session.open_page) as caught:
        _click(qtbot, page.list.empty.button)
    assert caught.args == ["new_run"]


def test_the_list_opens_by_click_and_by_key(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    old = logs.write(home, "old", logs.training(20, 40))
    new = logs.write(home, "new")
    page.list.reload()
    qtbot.waitUntil(lambda: page.list.model.rowCount() == 2, timeout=SOON)
    table = page.list.table
    place = table.visualRect(page.list.model.index(1, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert page.run.folder == old
    qtbot.waitUntil(lambda: page.run.state.step == 20, timeout=SOON)
    _click(qtbot, page.run.back)
    assert page.run.folder is None
    table.setFocus()
    qtbot.keyClick(table, Qt.Key.Key_Up)
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert page.run.folder == new


def test_a_live_run_is_stopped_and_kept(
    page: RunsPage, bench: Bench, session: Session, qtbot: QtBot
) -> None:
    folder = bench.run("")
    _open(page, folder, qtbot)
    assert page.run.buttons.resume.text().strip() == "Start"
    _click(qtbot, page.run.buttons.resume)
    qtbot.waitUntil(lambda: page.run.pill.text() == "Training", timeout=SOON)
    qtbot.waitUntil(lambda: len(page.run.series.train) > 5, timeout=SOON)
    qtbot.waitUntil(lambda: page.run.progress.step.text().startswith("Step "), timeout=SOON)
    qtbot.waitUntil(lambda: "Train " in page.run.curves.loss.plot.summary(), timeout=SOON)
    _click(qtbot, page.run.buttons.stop)
    assert page.run.pill.text() == "Stopping"
    assert not page.run.buttons.stop.isEnabled()
    qtbot.waitUntil(lambda: page.run.pill.text() == "Stopped", timeout=SOON)
    assert page.run.buttons.resume.isVisible()
    assert not page.run.buttons.stop.isVisible()
    assert "stopped and kept" in page.run.activity.text.toPlainText()
    assert not page.run.problem.isVisible()


def test_pause_and_resume(page: RunsPage, bench: Bench, qtbot: QtBot) -> None:
    folder = bench.run("")
    _open(page, folder, qtbot)
    _click(qtbot, page.run.buttons.resume)
    _click(qtbot, page.run.buttons.pause)
    qtbot.waitUntil(lambda: page.run.pill.text() == "Paused", timeout=SOON)
    assert page.run.buttons.resume.text().strip() == "Resume"
    _click(qtbot, page.run.buttons.resume)
    qtbot.waitUntil(lambda: page.run.pill.text() == "Training", timeout=SOON)
    _click(qtbot, page.run.buttons.stop)
    qtbot.waitUntil(lambda: page.run.pill.text() == "Stopped", timeout=SOON)


@pytest.mark.parametrize(("answer", "pill"), [("cancel", "Cancelled"), ("stop", "Stopped")])
def test_cancel_asks_first(
    page: RunsPage, bench: Bench, qtbot: QtBot, answer: str, pill: str
) -> None:
    folder = bench.run("")
    _open(page, folder, qtbot)
    _click(qtbot, page.run.buttons.resume)
    controller = page.run.controller

    def choose() -> None:
        assert controller.dialog is not None
        qtbot.mouseClick(controller.dialog.buttons[answer], Qt.MouseButton.LeftButton)

    timer = _answer(qtbot, controller, choose)
    _click(qtbot, page.run.buttons.cancel)
    qtbot.waitUntil(lambda: page.run.pill.text() == pill, timeout=SOON)
    timer.deleteLater()


def test_cancel_thought_better_of(page: RunsPage, bench: Bench, qtbot: QtBot) -> None:
    folder = bench.run("")
    _open(page, folder, qtbot)
    _click(qtbot, page.run.buttons.resume)
    qtbot.waitUntil(lambda: page.run.pill.text() == "Training", timeout=SOON)
    controller = page.run.controller

    def escape() -> None:
        assert controller.dialog is not None
        qtbot.keyClick(controller.dialog, Qt.Key.Key_Escape)

    timer = _answer(qtbot, controller, escape)
    _click(qtbot, page.run.buttons.cancel)
    timer.deleteLater()
    assert page.run.pill.text() == "Training"
    _click(qtbot, page.run.buttons.stop)
    qtbot.waitUntil(lambda: page.run.pill.text() == "Stopped", timeout=SOON)


def test_a_killed_engine_is_a_sentence_and_the_window_lives(
    page: RunsPage, bench: Bench, qtbot: QtBot
) -> None:
    folder = bench.run("")
    _open(page, folder, qtbot)
    _click(qtbot, page.run.buttons.resume)
    qtbot.waitUntil(lambda: page.run.state.state == "running", timeout=SOON)
    started = next(e for e in jobs.read_events(folder)[0] if isinstance(e, ev.Started))
    psutil.Process(started.pid).kill()
    qtbot.waitUntil(lambda: page.run.problem.isVisible(), timeout=2_000)
    assert page.run.problem.title() == "The engine was killed"
    assert page.run.pill.text() == "Crashed"
    assert page.run.buttons.resume.isVisible()


def test_an_old_run_looks_as_it_did_live(
    page: RunsPage, bench: Bench, session: Session, qtbot: QtBot
) -> None:
    folder = bench.run("step:40,failed")
    _open(page, folder, qtbot)
    _click(qtbot, page.run.buttons.resume)
    qtbot.waitUntil(lambda: page.run.problem.isVisible(), timeout=SOON)
    live = _looks(page)
    page.show_list()
    page.open_run(str(folder))
    qtbot.waitUntil(lambda: page.run.problem.isVisible(), timeout=SOON)
    assert _looks(page) == live
    other = RunsPage(session)
    qtbot.addWidget(other)
    other.show()
    other.open_run(str(folder))
    qtbot.waitUntil(lambda: other.run.problem.isVisible(), timeout=SOON)
    assert _looks(other) == live
    other.hide()


def _looks(page: RunsPage) -> list[object]:
    run = page.run
    return [
        run.state,
        run.pill.text(),
        run.problem.accessibleName(),
        run.progress.step.text(),
        run.tiles.train.accessibleName(),
        run.activity.text.toPlainText(),
        run.series.train.y.tolist(),
        run.curves.loss.plot.summary(),
    ]


def test_save_and_sample_from_the_menu(page: RunsPage, bench: Bench, qtbot: QtBot) -> None:
    folder = bench.run("")
    _open(page, folder, qtbot)
    _click(qtbot, page.run.buttons.resume)
    qtbot.waitUntil(page.run.buttons.stop.isVisible, timeout=SOON)
    menu = page.run.buttons.menu()
    actions = {action.text(): action for action in menu.actions()}
    assert not actions["Delete"].isEnabled()
    actions["Save a checkpoint now"].trigger()
    actions["Answer the prompts now"].trigger()
    qtbot.waitUntil(lambda: page.run.samples.isVisible(), timeout=SOON)
    assert page.run.samples.step.currentText().startswith("Step ")
    qtbot.waitUntil(lambda: bool(page.run.state.checkpoint), timeout=SOON)
    menu.deleteLater()
    _click(qtbot, page.run.buttons.stop)
    qtbot.waitUntil(lambda: page.run.pill.text() == "Stopped", timeout=SOON)


def test_rename_and_delete(page: RunsPage, home: Home, qtbot: QtBot) -> None:
    folder = logs.write(home, "old", logs.training(5, 10), [ev.Cancelled(time=1.0)])
    _open(page, folder, qtbot)
    controller = page.run.controller

    def rename() -> None:
        assert controller.dialog is not None
        qtbot.keyClicks(controller.dialog.edit, "new name")  # type: ignore[attr-defined]
        qtbot.keyClick(controller.dialog.edit, Qt.Key.Key_Return)  # type: ignore[attr-defined]

    timer = _answer(qtbot, controller, rename)
    _trigger(page, "Rename")
    qtbot.waitUntil(lambda: page.run.folder == home.runs / "new-name", timeout=SOON)
    qtbot.waitUntil(lambda: page.run.state.step == 5, timeout=SOON)
    timer.deleteLater()

    def delete() -> None:
        assert controller.dialog is not None
        qtbot.mouseClick(controller.dialog.buttons["delete"], Qt.MouseButton.LeftButton)

    timer = _answer(qtbot, controller, delete)
    _trigger(page, "Delete")
    qtbot.waitUntil(lambda: page.list.empty.isVisible(), timeout=SOON)
    assert [entry.name for entry in trash.listing(home)] == ["new-name"]
    timer.deleteLater()


def _trigger(page: RunsPage, text: str) -> None:
    menu: QMenu = page.run.buttons.menu()
    next(action for action in menu.actions() if action.text() == text).trigger()
    menu.deleteLater()


def test_chat_with_a_model_of_its_own(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    result = {"model": "/models/mine", "adapter": None}
    done = [ev.Finished(time=1.0, result=result), ev.Ended(time=1.0, code=0)]
    _open(page, logs.write(home, "whole", logs.training(5, 5), done), qtbot)
    with qtbot.waitSignal(session.open_chat, timeout=SOON) as caught:
        _click(qtbot, page.run.buttons.chat)
    assert caught.args == ["/models/mine", []]


def test_a_finished_run_leads_to_its_adapter(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    finished = ev.Finished(time=1.0, result={"adapter": "/adapters/mine", "model": None})
    _open(page, logs.write(home, "bare", logs.training(5, 5)), qtbot)
    assert not page.run.made.isVisible()
    done = [finished, ev.Ended(time=1.0, code=0)]
    _open(page, logs.write(home, "done", logs.training(5, 5), done), qtbot)
    with qtbot.waitSignal(session.open_page, timeout=SOON) as caught:
        _click(qtbot, page.run.made.button)
    assert caught.args == ["library"]


def test_a_plot_without_points_shows_no_numbers(page: RunsPage, home: Home, qtbot: QtBot) -> None:
    plot = page.run.curves.loss.plot
    _open(page, logs.write(home, "new"), qtbot)
    qtbot.waitUntil(plot._empty.isVisible, timeout=SOON)
    assert not plot.plotItem.getAxis("left").style["showValues"]
    _open(page, logs.write(home, "some", logs.training(9, 9)), qtbot)
    qtbot.waitUntil(lambda: not plot._empty.isVisible(), timeout=SOON)
    assert plot.plotItem.getAxis("left").style["showValues"]


def test_every_run_opens_at_its_top(page: RunsPage, home: Home, qtbot: QtBot) -> None:
    _open(page, logs.write(home, "first", logs.training(9, 9)), qtbot)
    bar = page.run._area.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0, timeout=SOON)
    bar.setValue(bar.maximum())
    _open(page, logs.write(home, "second", logs.training(9, 9)), qtbot)
    assert bar.value() == 0


def test_plots_read_out_and_scale_and_rest_when_hidden(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    _open(page, logs.write(home, "curves", logs.training(500, 600)), qtbot)
    plot = page.run.curves.loss.plot
    qtbot.waitUntil(lambda: plot._curves[1].item.getData()[0] is not None, timeout=SOON)
    middle = plot.viewport().rect().center()
    qtbot.mouseMove(plot.viewport(), QPoint(middle.x() - 1, middle.y()))
    qtbot.mouseMove(plot.viewport(), middle)
    qtbot.waitUntil(plot._read_out.isVisible, timeout=SOON)
    assert "step " in plot._read_out.text()
    assert "Train " in plot._read_out.text()
    _click(qtbot, page.run.curves.scale.button("log"))
    qtbot.waitUntil(lambda: max(plot._curves[1].item.getData()[1]) < 0.5, timeout=SOON)
    session.theme.apply("light")
    page.hide()
    plot.refresh()
    assert not plot._frame.isActive()
    page.show()
    qtbot.waitUntil(lambda: not plot._dirty, timeout=SOON)


def test_memory_is_shown_against_the_card(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    gib = 1 << 30
    card = Gpu(index=0, name="Card", total_bytes=24 * gib, used_bytes=0, free_bytes=24 * gib)
    _open(page, logs.write(home, "card", logs.training(50, 60, vram=True)), qtbot)
    qtbot.waitUntil(lambda: page.run.series.on_card, timeout=SOON)
    run = page.run
    run.curves.refresh(run.state, run.series, Machine(gpus=(card,)))
    run.tiles.show_run(run.state, run.series, Machine(gpus=(card,)))
    plot = run.curves.memory.plot
    assert plot._limit == 24
    plot._draw()
    assert plot.plotItem.vb.viewRange()[1][1] > 24
    assert "of 24 GB" in run.tiles.memory.accessibleName()
    assert run.curves.memory.title.text() == "GPU memory, GB"


def test_a_diverged_run_is_drawn(page: RunsPage, home: Home, qtbot: QtBot) -> None:
    nothing: dict[str, float | None] = {"loss": None, "grad_norm": None}
    steps: list[ev.AnyEvent] = [
        ev.Step(time=1.0, step=n, metrics=nothing, tokens=n, seconds=n) for n in range(1, 50)
    ]
    begun: list[ev.AnyEvent] = [ev.Started(time=1.0, pid=1, total_steps=100)]
    _open(page, logs.write(home, "nan", begun, steps), qtbot)
    qtbot.waitUntil(lambda: len(page.run.series.train) == 49, timeout=SOON)
    qtbot.waitUntil(lambda: "not a number" in page.run.activity.text.toPlainText(), timeout=SOON)
    assert page.run.curves.loss.plot.summary() == "no points yet"


def test_every_event_has_its_words() -> None:
    found = [*logs.training(12, 12), ev.Created(kind="train"), ev.Note(text="x")]
    found += [ev.Paused(checkpoint="c", step=3), ev.Finished(result={}), ev.Cancelled()]
    found += [ev.Failed(title="T", text="t"), ev.Started(pid=1, resumed_from=3)]
    assert all(words(event) for event in found)
    assert words(ev.Ended(code=0)) is None
    assert words(ev.Ended(code=1, title="T", text="t")) == ("T: t", "error")


def test_buttons_without_a_run(page: RunsPage) -> None:
    page.run.buttons.show_state(RunState(state="cancelled"), "")
    assert not page.run.buttons.resume.isVisible()
