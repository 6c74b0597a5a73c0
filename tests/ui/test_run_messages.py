"""Why a run waits, what went back, what is saved: banners, lines and marks from its events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot

from studio.core import events as ev
from studio.core.commands import AnyCommand, AnyJob, Pause, Train
from studio.core.guard import REASONS
from studio.core.recipe import TrainingPart
from studio.core.run_state import RunState, replay
from studio.library import jobs
from studio.library.folders import Home
from studio.ui import reasons
from studio.ui.pages.runs import RunsPage
from studio.ui.pages.runs.activity import words
from studio.ui.pages.runs.saves import Saves, rule
from studio.ui.session import Session
from studio.ui.tables.run_series import RunSeries
from tests.support import logs
from tests.ui.show import Show

pytestmark = pytest.mark.gui
RESCUED = ev.Rescued(
    time=1.0, step=40, where="the longest batch", micro_batch_size=2, gradient_accumulation=8
)
BACK = ev.RolledBack(time=1.0, step=60, to_step=50, text="The loss was no number for 3 steps.")


class Worker:
    """Writes down what is asked of the keeper."""

    def __init__(self) -> None:
        self.started: list[tuple[Path, AnyJob | None]] = []
        self.told: list[tuple[str, AnyCommand]] = []

    def start_job(self, folder: str, job: AnyJob | None, **_: object) -> None:
        self.started.append((Path(folder), job))

    def tell(self, folder: str, command: AnyCommand, **_: object) -> None:
        self.told.append((folder, command))

    def unwatch(self, folder: Path) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def page(session: Session, show: Show) -> Iterator[RunsPage]:
    """The page without a keeper: a test hands it the events."""
    made = RunsPage(session)
    made.resize(1056, 800)
    show(made)
    yield made
    made.hide()


def open_with(page: RunsPage, home: Home, *parts: list[ev.AnyEvent]) -> Path:
    folder = logs.write(home, "mine", *parts)
    page.open_run(str(folder))
    page.run._heard(str(folder), jobs.read_events(folder)[0])
    page.run._refresh()
    return folder


def paused(reason: str) -> list[ev.AnyEvent]:
    return [ev.Paused(time=9.0, checkpoint="c", step=20, reason=reason), ev.Ended(time=9.0)]


@pytest.mark.parametrize("reason", REASONS)
def test_what_waits_says_why_and_can_go_on_or_stay(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot, reason: str
) -> None:
    folder = open_with(page, home, logs.training(20, 40), paused(reason))
    banner = page.run.messages.paused
    assert banner.isVisible()
    assert banner.title().startswith("Waiting: ")
    assert page.run.pill.text() == "Waiting"
    assert not page.run.buttons.resume.isVisible()
    session._worker = worker = Worker()  # type: ignore[assignment]
    qtbot.mouseClick(banner.button, Qt.MouseButton.LeftButton)
    assert worker.started == [(folder, Train(resume=True))]
    banner.other.setFocus()
    qtbot.keyClick(banner.other, Qt.Key.Key_Return)
    assert worker.told == [(str(folder), Pause())]


def test_kept_paused_it_waits_no_more(page: RunsPage, home: Home) -> None:
    folder = open_with(page, home, logs.training(20, 40), paused("game"))
    page.run._heard(str(folder), [ev.Paused(time=10.0, checkpoint="c", step=20)])
    page.run._refresh()
    assert not page.run.messages.paused.isVisible()
    assert page.run.pill.text() == "Paused"
    assert page.run.buttons.resume.isVisible()


def test_a_short_disk_is_no_waiting(page: RunsPage, home: Home) -> None:
    open_with(page, home, logs.training(20, 40), paused("disk"))
    banner = page.run.messages.paused
    assert banner.title() == "Paused: the disk is nearly full"
    assert not banner.other.isVisible()
    assert page.run.pill.text() == "Paused"


def test_hours_say_when_it_goes_on() -> None:
    assert reasons.text("hours", "22:00-08:00").endswith("at 22:00.")
    assert reasons.text("hours").endswith("when they begin.")
    assert reasons.short("something new")
    assert reasons.text("something new")


def test_warnings_stand_above_the_numbers_until_dismissed(
    page: RunsPage, home: Home, qtbot: QtBot
) -> None:
    notes: list[ev.AnyEvent] = [
        ev.Note(time=1.0, text="Fine so far."),
        ev.Note(time=1.0, text="The card is full.", severity="warning"),
        RESCUED,
    ]
    folder = open_with(page, home, logs.training(20, 40), notes)
    banner = page.run.messages.warned
    assert banner.title() == "2 warnings"
    assert "The card is full." in banner.accessibleName()
    assert "micro-batches of 2" in banner.accessibleName()
    assert "Fine so far" not in banner.accessibleName()
    banner.dismiss()
    page.run._refresh()
    assert not banner.isVisible()
    page.run._heard(str(folder), [ev.Note(time=2.0, text="Again.", severity="error")])
    page.run._refresh()
    assert banner.title() == "3 warnings"
    page.run._heard(str(folder), [ev.Started(time=3.0, pid=1, total_steps=40)])
    page.run._refresh()
    assert not banner.isVisible()


def test_setbacks_have_their_lines() -> None:
    back, rescued = words(BACK), words(RESCUED)
    assert back == (
        "rolled back from step 60 to the checkpoint of step 50: "
        "The loss was no number for 3 steps.",
        "warning",
    )
    assert rescued is not None
    assert "8 micro-batches of 2" in rescued[0]
    by_itself = words(ev.Paused(checkpoint="c", step=3, reason="heat"))
    assert by_itself == ("paused by itself at step 3: the card is too hot", "warning")


def test_curves_are_cut_and_marked_where_it_went_back() -> None:
    series = RunSeries()
    series.take([*logs.training(60, 100), BACK])
    assert series.train.x[-1] == 50
    assert series.memory.x[-1] == pytest.approx(100 / 60)
    series.take([RESCUED])
    assert series.train.x[-1] == 40
    assert [mark.x for mark in series.marks] == [40.0]  # what lay beyond counts no more
    series.take([ev.Started(pid=1, total_steps=100, resumed_from=30)])
    assert series.marks == []


def test_a_mark_says_what_happened_under_the_mouse(
    page: RunsPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    more = [event for event in logs.training(90, 100) if getattr(event, "step", 0) > 40]
    open_with(page, home, logs.training(60, 100), [RESCUED], more)
    plot = page.run.curves.loss.plot
    qtbot.waitUntil(lambda: not plot._dirty)
    assert "Memory ran out" in plot.summary()
    there = plot.mapFromScene(plot.plotItem.vb.mapViewToScene(QPointF(40, 1.2)))
    for place in (there - QPoint(2, 0), there):
        qtbot.mouseMove(plot.viewport(), place)
    qtbot.waitUntil(lambda: "Memory ran out" in plot._read_out.text())
    session.theme.apply("light")
    page.open_run(str(logs.write(home, "other")))
    assert "Memory ran out" not in plot.summary()
    assert not plot._read_out.isVisible()


class TestSaves:
    usual = TrainingPart(save_every_minutes=5, keep_checkpoints=2)

    def said(self, found: list[ev.AnyEvent], living: bool) -> str:
        saves = Saves()
        saves.take(found)
        return saves.words(replay(found), self.usual, living)

    def test_while_training(self) -> None:
        now = time.time()
        begun = logs.training(3, 40, began=now - 400)
        saved = [*begun, ev.Saved(time=now - 185, step=2, path="c")]
        assert self.said(saved, True) == (
            "Last saved 3 min ago, at step 2. At most 5 min of work at risk."
        )
        late = [*begun, ev.Saved(time=now - 600 + 201, step=2, path="c")]
        assert self.said(late, True).endswith("At most 7 min of work at risk.")
        unsaved = logs.training(1, 40, began=now - 30)
        assert self.said(unsaved, True) == "Not saved yet. At most 5 min of work at risk."

    def test_after_the_end(self) -> None:
        begun = logs.training(30, 40)
        crashed = [*begun, ev.Ended(time=1.0, code=-9, title="Killed", text="It was killed.")]
        assert self.said(crashed, False) == "Saved at step 30. No work is lost by resuming."
        crashed = [*logs.training(31, 40), ev.Ended(time=1.0, code=-9, title="Killed")]
        assert self.said(crashed, False) == "Saved at step 30. Resuming repeats 1 step."
        early = [*logs.training(1, 40), ev.Ended(time=1.0, code=-9, title="Killed")]
        assert "not saved" in self.said(early, False)
        assert self.said([*begun, *paused("game")], False).startswith("Saved at step 30.")
        assert self.said([*begun, ev.Finished(result={})], False) == ""
        assert Saves().words(RunState(), None, False) == ""

    def test_the_rule_is_said(self) -> None:
        assert rule(self.usual) == "Keeps the newest 2 checkpoints and the best."
        one = TrainingPart(keep_checkpoints=1, keep_best=False)
        assert rule(one) == "Keeps the newest checkpoint."

    def test_the_page_shows_both(self, page: RunsPage, home: Home, qtbot: QtBot) -> None:
        open_with(page, home, logs.training(30, 40), paused(""))
        qtbot.waitUntil(lambda: "Keeps the newest" in page.run.progress.saved.text())
        assert "No work is lost" in page.run.progress.saved.text()
