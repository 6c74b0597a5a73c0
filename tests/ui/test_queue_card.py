"""The queue on the Runs page, by real clicks and keys over a real keeper and the fake engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from studio.core.facts import Machine
from studio.core.queue import Queue
from studio.core.run_state import RunState
from studio.core.wire import JobRow
from studio.library import queue as stored
from studio.library import runs
from studio.library.folders import Home
from studio.ui.countdown import Countdown
from studio.ui.pages.runs import RunsPage
from studio.ui.pages.runs.queue_card import QueueCard
from studio.ui.session import Session
from studio.ui.tables.queue import QueueModel, standing
from studio.ui.tables.runs import RunLine
from tests.support import logs
from tests.support.keeping import Bench
from tests.ui.show import Show

pytestmark = pytest.mark.gui
SOON = 20_000
ALT = Qt.KeyboardModifier.AltModifier


@pytest.fixture
def page(bench: Bench, session: Session, show: Show, qtbot: QtBot) -> Iterator[RunsPage]:
    made = RunsPage(session)
    made.resize(1056, 800)
    with qtbot.waitSignal(session.machine_changed, timeout=SOON):
        session.start()
    show(made)
    yield made
    made.hide()


@pytest.fixture
def card(page: RunsPage, bench: Bench, session: Session, qtbot: QtBot) -> QueueCard:
    """Three runs in the queue, which isn't running."""
    for folder in [bench.run("step:1,gate:open,finish") for _ in range(3)]:
        session.worker.queue_add(folder)
    page.list.reload()
    qtbot.waitUntil(lambda: len(session.queue.waiting) == 3, timeout=SOON)
    qtbot.waitUntil(lambda: page.list.model.rowCount() == 3, timeout=SOON)
    return page.list.queue


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=SOON)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def shown(card: QueueCard) -> list[str]:
    return [card.model.name(row) for row in range(card.model.rowCount())]


def line(home: Home, name: str, **state: object) -> RunLine:
    known = RunState(kind="train", **state)  # type: ignore[arg-type]
    return RunLine(path=home.runs / name, name=name, about="", state=known, living=False)


def training(name: str) -> JobRow:
    return JobRow(folder=f"/runs/{name}", kind="train", name=name, state="running")


def test_it_is_reordered_by_buttons_and_keys(
    card: QueueCard, session: Session, home: Home, qtbot: QtBot
) -> None:
    a, b, c = session.queue.waiting
    assert not card.up.isEnabled()
    click(qtbot, card.down)
    qtbot.waitUntil(lambda: shown(card) == [b, a, c], timeout=SOON)
    card.table.setFocus()
    qtbot.keyClick(card.table, Qt.Key.Key_Down, ALT)  # the moved run is still the chosen one
    qtbot.waitUntil(lambda: shown(card) == [b, c, a], timeout=SOON)
    assert not card.down.isEnabled()
    qtbot.keyClick(card.table, Qt.Key.Key_Up, ALT)
    qtbot.waitUntil(lambda: shown(card) == [b, a, c], timeout=SOON)
    qtbot.keyClick(card.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: shown(card) == [b, c], timeout=SOON)
    assert stored.load(home).waiting == (b, c)
    assert runs.state_of(home.runs / a).state == "created"


def test_it_is_reordered_by_dragging(card: QueueCard, session: Session, qtbot: QtBot) -> None:
    a, b, c = session.queue.waiting
    model, move = card.model, Qt.DropAction.MoveAction
    data = model.mimeData([model.index(0, 0)])
    assert not model.dropMimeData(data, move, -1, -1, QModelIndex())
    qtbot.waitUntil(lambda: shown(card) == [b, c, a], timeout=SOON)
    data = model.mimeData([model.index(2, 0)])
    model.dropMimeData(data, move, 1, 0, QModelIndex())
    qtbot.waitUntil(lambda: shown(card) == [b, a, c], timeout=SOON)


def test_places_are_numbered_and_said(card: QueueCard) -> None:
    texts = [card.model.index(row, 0).data() for row in range(3)]
    assert texts == ["1", "2", "3"]
    said = card.model.index(1, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert said == "Place 2"


def test_it_runs_one_after_the_other_and_stops_when_told(
    card: QueueCard, session: Session, home: Home, qtbot: QtBot
) -> None:
    first, second, third = session.queue.waiting
    assert card.pill.text() == "Stopped"
    click(qtbot, card.run)
    qtbot.waitUntil(lambda: shown(card) == [second, third], timeout=SOON)
    qtbot.waitUntil(lambda: f"“{first}” is at work" in card.standing.text(), timeout=SOON)
    assert card.pill.text() == "Running"
    assert card.run.text().strip() == "Stop queue"
    (home.runs / first / "open").touch()
    qtbot.waitUntil(lambda: shown(card) == [third], timeout=SOON)
    click(qtbot, card.run)
    qtbot.waitUntil(lambda: card.pill.text() == "Stopped", timeout=SOON)
    (home.runs / second / "open").touch()
    qtbot.waitUntil(lambda: not session.jobs, timeout=SOON)
    assert shown(card) == [third]
    assert runs.state_of(home.runs / second).state == "finished"


def test_from_the_menu_of_a_run_and_back(
    page: RunsPage, bench: Bench, session: Session, qtbot: QtBot
) -> None:
    folder = bench.run("")
    page.open_run(str(folder))
    qtbot.waitUntil(page.run.buttons.resume.isVisible, timeout=SOON)
    for text, waiting in (("Add to queue", (folder.name,)), ("Take out of the queue", ())):
        menu = page.run.buttons.menu()
        next(act for act in menu.actions() if act.text() == text).trigger()
        qtbot.waitUntil(lambda wanted=waiting: session.queue.waiting == wanted, timeout=SOON)
        menu.deleteLater()


def test_enter_opens_the_run(card: QueueCard, page: RunsPage, session: Session) -> None:
    first = session.queue.waiting[0]
    menu = card.menu()
    assert [act.text() for act in menu.actions() if not act.isEnabled()] == [
        "To the front",
        "Earlier",
    ]
    menu.actions()[0].trigger()
    menu.deleteLater()
    assert page.shown_run == first


def test_what_happens_then_is_kept(card: QueueCard, session: Session, qtbot: QtBot) -> None:
    session._machine(Machine(abilities=("keep-awake", "sleep")))
    texts = [card.then.itemText(index) for index in range(card.then.count())]
    assert texts == ["Do nothing", "Sleep"]
    card.then.setFocus()
    qtbot.keyClick(card.then, Qt.Key.Key_Down)
    card.then.activated.emit(card.then.currentIndex())
    qtbot.waitUntil(lambda: session.queue.then == "sleep", timeout=SOON)
    assert not session.queue.running


class TestWithoutAKeeper:
    def test_an_empty_queue_says_what_it_is_for(self, session: Session, show: Show) -> None:
        card = QueueCard(session)
        show(card)
        assert "one after the other" in card._empty.text()
        assert not card.run.isVisible()
        assert not card.table.isVisible()

    def test_a_run_nobody_knows_is_shown_by_its_name(self) -> None:
        model = QueueModel()
        model.show_queue(["gone"], {})
        assert [model.index(0, column).data() for column in (1, 3, 4)] == ["gone", "–", "–"]

    def test_where_it_stands(self, home: Home) -> None:
        queue = Queue(waiting=("b",), running=True, current="a")
        held = {"a": line(home, "a", state="paused", pause_reason="game")}
        assert standing(queue, [training("a")], {}) == "“a” is at work."
        assert standing(queue, [training("x")], {}) == "Goes on when “x” has ended."
        assert standing(queue, [], held).startswith("“a” waits: a game")
        assert standing(queue, [], {}) == "The next one starts in a moment."
        assert standing(Queue(waiting=("b",)), [], {}) == "Nothing starts by itself."
        assert standing(Queue(text="It broke."), [], {}) == "It broke."
        held_back = Queue(waiting=("b",), running=True, text="Waits: the hours.")
        assert standing(held_back, [], {}) == "Waits: the hours."

    def test_the_countdown_ticks_and_is_called_off(
        self, session: Session, show: Show, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[object, ...]] = []

        class Worker:
            def queue_run(self, *arguments: object) -> None:
                asked.append(arguments)

            def close(self) -> None:
                pass

        countdown = Countdown(session)
        show(countdown)
        countdown.hide()
        monkeypatch.setattr(session, "_worker", Worker())
        until = time.time() + 31
        with qtbot.waitSignal(countdown.turned):
            session._queue(Queue(then="shut-down", then_at=until))
        assert "shuts down in 31 s" in countdown.accessibleName()
        qtbot.waitUntil(lambda: "30 s" in countdown.accessibleName(), timeout=SOON)
        click(qtbot, countdown.button)
        assert asked == [(False, "nothing")]
        session._queue(Queue())
        assert not countdown.isVisible()

    def test_many_long_names_fit_the_smallest_window(
        self, session: Session, home: Home, show: Show
    ) -> None:
        card = QueueCard(session)
        show(card)
        card.resize(736, 400)
        names = tuple(f"{'long-' * 14}{number}" for number in range(30))
        session._queue(Queue(waiting=names, running=True))
        card.show_lines([line(home, name) for name in names])
        assert card.minimumSizeHint().width() <= 736
        assert card.table.height() < 200


def test_a_finished_run_cannot_be_queued(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    from studio.core import events as ev

    folder = logs.write(home, "old", logs.training(5, 5), [ev.Finished(time=1.0, result={})])
    with qtbot.waitSignal(session.failed, timeout=SOON) as heard:
        session.worker.queue_add(Path(folder))
    assert heard.args[0].title == "Nothing to resume"
