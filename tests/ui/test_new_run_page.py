"""The wizard's frame and its start, by keys and clicks, with the real preparer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTextEdit,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from studio.core import problems
from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.core.wire import JobRow
from studio.library import runs
from studio.library.folders import Home, JobFolder
from studio.ui.pages.new_run import NewRunPage, keeping
from studio.ui.pages.new_run.hyper_step import HyperStep
from studio.ui.pages.new_run.method_step import MethodStep
from studio.ui.pages.new_run.model_step import ModelStep
from studio.ui.pages.new_run.review_step import ReviewStep
from studio.ui.session import Session
from studio.ui.widgets import DropZone
from tests.ui.show import Show
from tests.ui.wizard import SLOW, click


class TestFrame:
    def test_steps_can_be_visited_in_any_order(self, new_run: NewRunPage, qtbot: QtBot) -> None:
        click(qtbot, new_run.header.buttons[3])
        assert isinstance(new_run.stack.currentWidget(), HyperStep)
        click(qtbot, new_run.back)
        assert isinstance(new_run.stack.currentWidget(), MethodStep)
        new_run.forward.setFocus()
        qtbot.keyClick(new_run.forward, Qt.Key.Key_Space)
        assert isinstance(new_run.stack.currentWidget(), HyperStep)

    def test_a_visited_step_with_a_problem_says_so(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        click(qtbot, chosen.header.buttons[1])
        click(qtbot, chosen.header.buttons[4])
        states = [button.state() for button in chosen.header.buttons]
        assert states == ["done", "problem", "todo", "todo", "now"]

    def test_start_waits_until_nothing_blocks(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        click(qtbot, chosen.header.buttons[4])
        assert chosen.start.isVisible()
        assert not chosen.start.isEnabled()
        chosen.draft.set_dataset("sample")
        qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
        assert chosen.start.isEnabled()

    def test_the_draft_survives_a_restart(
        self,
        new_run: NewRunPage,
        session: Session,
        home: Home,
        machine: Machine,
        show: Show,
        qtbot: QtBot,
    ) -> None:
        new_run.draft.set("training.epochs", 7)
        click(qtbot, new_run.header.buttons[3])
        qtbot.waitUntil(lambda: keeping.load(home).get("step") == 3)
        qtbot.waitUntil(lambda: new_run.note.text() == "Saved as a draft")
        again = NewRunPage(session)
        show(again)
        qtbot.waitUntil(lambda: again.draft.get("training.epochs") == 7)
        assert isinstance(again.stack.currentWidget(), HyperStep)

    def test_a_draft_that_cannot_be_saved_is_said(
        self, new_run: NewRunPage, session: Session, home: Home, qtbot: QtBot
    ) -> None:
        home.drafts.parent.mkdir(exist_ok=True)
        home.drafts.write_text("in the way", encoding="utf-8")
        with qtbot.waitSignal(session.failed) as heard:
            new_run.draft.set("name", "mine")
        assert heard.args[0].title == "Draft not saved"

    def test_the_fit_panel_is_beside_every_step(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        qtbot.waitUntil(lambda: chosen.panel.pill.text() == "Fits")
        for button in chosen.header.buttons:
            click(qtbot, button)
            assert chosen.panel.isVisible()
            assert chosen.panel.width() == 296
        assert "An estimate" in chosen.panel.note.text()
        assert "of 8.0 GB" in chosen.panel.room.text()

    @pytest.mark.parametrize("index", range(5))
    def test_everything_has_a_name_and_takes_the_keyboard(
        self, chosen: NewRunPage, qtbot: QtBot, index: int
    ) -> None:
        chosen.draft.set_dataset("sample")
        qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
        chosen.go(index)
        kinds = (QAbstractButton, QLineEdit, QComboBox, QPlainTextEdit, QTextEdit, DropZone)
        found = [child for kind in kinds for child in chosen.findChildren(kind)]
        for child in (each for each in found if each.isVisible()):
            if child.objectName().startswith("qt_") or isinstance(child, QToolButton):
                continue  # Qt's own, inside of an editor
            assert child.accessibleName(), child
            grouped = isinstance(child, QAbstractButton) and child.group() is not None
            # arrow keys move inside of a group, Tab reaches the one that is on
            assert grouped or child.focusPolicy() & Qt.FocusPolicy.TabFocus, child


class Worker:
    """Takes orders and says yes, or no."""

    def __init__(self, error: StudioError | None = None) -> None:
        self.error = error
        self.asked: list[Path] = []
        self.queued: list[Path] = []
        self.running: list[bool] = []

    def queue_add(
        self,
        folder: Path,
        at: int | None,
        done: Callable[[], None],
        failed: Callable[[StudioError], None],
    ) -> None:
        self.queued.append(folder)
        done()

    def queue_run(self, on: bool) -> None:
        self.running.append(on)

    def start_job(
        self,
        folder: Path,
        job: object,
        done: Callable[[], None],
        failed: Callable[[StudioError], None],
    ) -> None:
        self.asked.append(folder)
        if self.error:
            failed(self.error)
        else:
            done()

    def close(self) -> None:
        pass


class TestReview:
    @pytest.fixture
    def review(self, chosen: NewRunPage, qtbot: QtBot) -> NewRunPage:
        chosen.draft.set_dataset("sample")
        chosen.draft.set("data.max_length", 128)
        qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
        chosen.go(4)
        return chosen

    def test_all_problems_are_listed_with_their_field(self, review: NewRunPage) -> None:
        review.draft.set("training.epochs", "lots")
        review.draft.set("lora.rank", -1)
        step = review.step(4)
        said = " ".join(child.accessibleName() for child in step.findChildren(QWidget))
        assert "Epochs: " in said
        assert "Rank: " in said
        assert not review.start.isEnabled()

    def test_a_start_with_warnings_says_so(self, review: NewRunPage) -> None:
        review.draft.set("training.epochs", 50)
        said = [child.text() for child in review.step(4).findChildren(QLabel)]
        assert any(text.startswith("Ready to start, with ") for text in said)
        assert review.start.isEnabled()

    def test_a_line_leads_to_its_step(self, review: NewRunPage, qtbot: QtBot) -> None:
        step = review.step(4)
        edits = [b for b in step.findChildren(QPushButton) if b.accessibleName() == "Edit method"]
        click(qtbot, edits[0])
        assert isinstance(review.stack.currentWidget(), MethodStep)

    def test_the_file_is_shown_as_it_would_be_saved(self, review: NewRunPage) -> None:
        step = review.step(4)
        assert isinstance(step, ReviewStep)
        assert "dataset: sample" in step.yaml.toPlainText()
        assert "max_length: 128" in step.yaml.toPlainText()

    def test_the_recipe_is_saved_where_asked(
        self,
        review: NewRunPage,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        qtbot: QtBot,
    ) -> None:
        target = tmp_path / "mine.yaml"
        monkeypatch.setattr(
            QFileDialog, "getSaveFileName", lambda *_: (str(target), "Recipes (*.yaml)")
        )
        step = review.step(4)
        assert isinstance(step, ReviewStep)
        click(qtbot, step.save)
        qtbot.waitUntil(target.exists)
        recipe, found = problems.read(yaml.safe_load(target.read_text(encoding="utf-8")))
        assert found == []
        assert recipe == review.draft.recipe

    def test_start_prepares_the_run_and_hands_it_over(
        self, review: NewRunPage, session: Session, qtbot: QtBot
    ) -> None:
        worker = Worker()
        session._worker = worker  # type: ignore[assignment]
        step = review.step(4)
        assert isinstance(step, ReviewStep)
        step.name.setFocus()
        qtbot.keyClicks(step.name, "my first run")
        with qtbot.waitSignal(session.run_started, timeout=SLOW) as heard:
            click(qtbot, review.start)
        folder = Path(heard.args[0])
        assert worker.asked == [folder]
        assert runs.recipe_of(folder).name == "my first run"
        assert (JobFolder(folder).data / "train.arrow").stat().st_size > 0
        assert isinstance(review.stack.currentWidget(), ModelStep)
        assert review.draft.recipe.name == ""

    def test_a_refused_start_is_said_and_can_be_tried_again(
        self, review: NewRunPage, session: Session, qtbot: QtBot
    ) -> None:
        session._worker = Worker(StudioError("Busy", "Another run trains.", "Wait."))  # type: ignore[assignment]
        click(qtbot, review.start)
        qtbot.waitUntil(review.message.isVisible, timeout=SLOW)
        assert review.message.title() == "Busy"
        assert review.start.isEnabled()

    def test_add_to_queue_prepares_it_and_shows_the_queue(
        self, review: NewRunPage, session: Session, qtbot: QtBot
    ) -> None:
        session._worker = worker = Worker()  # type: ignore[assignment]
        with qtbot.waitSignal(session.open_queue, timeout=SLOW):
            click(qtbot, review.queue)
        [folder] = worker.queued
        assert (JobFolder(folder).data / "train.arrow").stat().st_size > 0
        assert worker.asked == []
        assert worker.running == []  # the queue is started by its own button
        assert isinstance(review.stack.currentWidget(), ModelStep)

    @pytest.mark.parametrize("answer", ["", "queue"])
    def test_while_another_run_trains_start_asks_and_offers_the_queue(
        self,
        review: NewRunPage,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
        qtbot: QtBot,
        answer: str,
    ) -> None:
        session._worker = worker = Worker()  # type: ignore[assignment]
        session.jobs = [JobRow(folder="/r/a", kind="train", name="other", state="running")]
        named: list[str] = []
        monkeypatch.setattr(review, "ask_first", lambda name: named.append(name) or answer)
        click(qtbot, review.start)
        assert named == ["other"]
        if answer:
            qtbot.waitUntil(lambda: bool(worker.queued or worker.asked), timeout=SLOW)
        assert not review.launcher.busy
        assert len(worker.queued) == len(worker.running) == (answer == "queue")
        assert len(worker.asked) == (answer == "start")

    def test_preparing_can_be_called_off(self, review: NewRunPage, qtbot: QtBot) -> None:
        click(qtbot, review.queue)
        assert not review.start.isEnabled()
        click(qtbot, review.cancel)
        assert review.note.text() == "Cancelled"
        assert review.start.isEnabled()
