"""The wizard by keys and clicks, with the real preparer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTextEdit,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.library import runs
from studio.library.folders import Home, JobFolder
from studio.ui.pages.new_run import NewRunPage, keeping
from studio.ui.pages.new_run.dataset_step import DatasetStep
from studio.ui.pages.new_run.hyper_step import HyperStep
from studio.ui.pages.new_run.method_step import MethodStep
from studio.ui.pages.new_run.model_step import ModelStep
from studio.ui.pages.new_run.review_step import ReviewStep
from studio.ui.session import Session
from studio.ui.widgets import DropZone, Field
from tests.ui.show import Show

LEFT = Qt.MouseButton.LeftButton
SLOW = 30_000


def click(qtbot: QtBot, button: QWidget) -> None:
    qtbot.mouseClick(button, LEFT)


def type_over(qtbot: QtBot, field: Field, text: str) -> None:
    """Replace what stands in a field by real keys."""
    edit = field.editor
    edit.setFocus()
    qtbot.keyClick(edit, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(edit, Qt.Key.Key_Delete)
    qtbot.keyClicks(edit, text)


def drop(zone: DropZone, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    action, keys = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    zone.dropEvent(QDropEvent(QPointF(5, 5), action, data, LEFT, keys))


def rows(path: Path, count: int, **columns: str) -> Path:
    line = json.dumps(columns)
    path.write_text(f"{line}\n" * count, encoding="utf-8")
    return path


def model_step(page: NewRunPage) -> ModelStep:
    step = page.step(0)
    assert isinstance(step, ModelStep)
    return step


def dataset_step(page: NewRunPage) -> DatasetStep:
    step = page.step(1)
    assert isinstance(step, DatasetStep)
    return step


@pytest.fixture
def chosen(new_run: NewRunPage, own_model: Path, qtbot: QtBot) -> NewRunPage:
    """The wizard with the tiny model chosen."""
    new_run.draft.set_model(str(own_model))
    qtbot.waitUntil(lambda: new_run.draft.model is not None)
    return new_run


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


class TestModel:
    def test_models_of_the_folder_are_offered_with_badges(
        self, own_model: Path, new_run: NewRunPage, qtbot: QtBot
    ) -> None:
        cards = model_step(new_run).cards
        qtbot.waitUntil(lambda: str(own_model) in cards.cards)
        card = cards.cards[str(own_model)]
        for badge in ("LoRA fits", "QLoRA fits", "Full fits"):
            assert badge in card.accessibleDescription()
        click(qtbot, card)
        qtbot.waitUntil(lambda: new_run.draft.model is not None)
        assert card.isChecked()
        assert new_run.draft.recipe.model.path == str(own_model)

    def test_a_broken_model_cannot_be_chosen_and_says_why(
        self, home: Home, new_run: NewRunPage, qtbot: QtBot
    ) -> None:
        broken = home.models / "broken"
        broken.mkdir()
        new_run.session.models_changed.emit()
        cards = model_step(new_run).cards
        qtbot.waitUntil(lambda: str(broken) in cards.cards)
        card = cards.cards[str(broken)]
        assert not card.isEnabled()
        assert "config.json" in card.accessibleDescription()

    def test_a_dropped_folder_is_used_where_it_lies(
        self, new_run: NewRunPage, tiny_model: Path, qtbot: QtBot
    ) -> None:
        drop(model_step(new_run).drop, tiny_model)
        qtbot.waitUntil(lambda: new_run.draft.model is not None)
        assert new_run.draft.recipe.model.path == str(tiny_model)

    def test_a_folder_without_a_model_is_refused_with_a_fix(
        self, new_run: NewRunPage, tmp_path: Path, qtbot: QtBot
    ) -> None:
        (tmp_path / "empty").mkdir()
        drop(model_step(new_run).drop, tmp_path / "empty")
        qtbot.waitUntil(lambda: new_run.draft.model is not None)
        found = [problem for problem in new_run.draft.blocking if problem.field == "model"]
        assert found
        assert all(problem.fix for problem in found)

    def test_a_file_that_is_no_gguf_is_refused_and_the_window_stays(
        self, new_run: NewRunPage, tmp_path: Path, qtbot: QtBot
    ) -> None:
        (tmp_path / "model.gguf").write_bytes(b"not a model")
        step = model_step(new_run)
        drop(step.drop, tmp_path / "model.gguf")
        qtbot.waitUntil(step.fetching.message.isVisible, timeout=SLOW)
        assert step.fetching.message.title() == "Not a GGUF file"
        assert not step.fetching.busy

    def test_the_starter_may_be_chosen_before_it_is_here(
        self, new_run: NewRunPage, qtbot: QtBot
    ) -> None:
        step = model_step(new_run)
        click(qtbot, step.starter)
        qtbot.waitUntil(lambda: new_run.draft.model_problem is not None)
        assert "model" not in {problem.field for problem in new_run.draft.blocking}
        qtbot.waitUntil(step.missing.isVisible)

    def test_an_unreachable_hub_is_a_sentence(
        self, new_run: NewRunPage, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        hub = model_step(new_run).hub
        hub.edit.setFocus()
        qtbot.keyClicks(hub.edit, "smollm")
        qtbot.keyClick(hub.edit, Qt.Key.Key_Return)
        qtbot.waitUntil(hub.message.isVisible, timeout=SLOW)
        assert "Traceback" not in hub.message.accessibleName()


class TestDataset:
    def test_the_lens_shows_what_is_trained(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(1)
        step = dataset_step(chosen)
        click(qtbot, step.sample)
        qtbot.waitUntil(lambda: "trained" in step.lens._numbers.text(), timeout=SLOW)
        text = step.lens.text.toPlainText()
        assert "<|im_start|>" in text
        assert "↵" in text
        first = text
        click(qtbot, step.lens.forth)
        assert step.lens.text.toPlainText() != first
        click(qtbot, step.lens.back)
        assert step.lens.text.toPlainText() == first

    def test_pages_beyond_the_first_are_fetched(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(1)
        step = dataset_step(chosen)
        chosen.draft.set_dataset("sample")
        qtbot.waitUntil(lambda: "trained" in step.lens._numbers.text(), timeout=SLOW)
        step.lens.go(439)
        assert step.lens.text.toPlainText() == "Reading the row"
        qtbot.waitUntil(lambda: "<|im_start|>" in step.lens.text.toPlainText(), timeout=SLOW)
        assert not step.lens.forth.isEnabled()

    def test_columns_that_nobody_knows_are_mapped_by_choosing(
        self, chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
    ) -> None:
        chosen.go(1)
        step = dataset_step(chosen)
        path = rows(tmp_path / "odd.jsonl", 30, frage="How are you?", reply="I am well.")
        drop(step.drop, path)
        qtbot.waitUntil(step.columns.isVisible, timeout=SLOW)
        assert "dataset" in {problem.field for problem in chosen.draft.blocking}
        for role, column in (("prompt", "frage"), ("completion", "reply")):
            box = step.columns.boxes[role]
            box.setFocus()
            while box.value() != column:
                qtbot.keyClick(box, Qt.Key.Key_Down)
        qtbot.waitUntil(
            lambda: chosen.draft.report is not None and chosen.draft.report.usable_rows == 30,
            timeout=SLOW,
        )
        assert chosen.draft.blocking == []
        assert dict(chosen.draft.recipe.dataset[0].columns) == {
            "prompt": "frage",
            "completion": "reply",
        }

    def test_without_a_model_rows_are_counted_but_not_their_tokens(
        self, new_run: NewRunPage, qtbot: QtBot
    ) -> None:
        new_run.go(1)
        step = dataset_step(new_run)
        new_run.draft.set_dataset("sample")
        qtbot.waitUntil(lambda: new_run.draft.report is not None, timeout=SLOW)
        assert "Choose a model first" in step.lens.text.toPlainText()
        assert "440" in step._usable.accessibleName()

    @pytest.mark.parametrize(
        ("name", "content"),
        [("missing.jsonl", None), ("empty.jsonl", ""), ("words.jsonl", "no json\n" * 5)],
    )
    def test_a_file_that_cannot_be_used_says_what_to_do(
        self, new_run: NewRunPage, tmp_path: Path, qtbot: QtBot, name: str, content: str | None
    ) -> None:
        new_run.go(1)
        if content is not None:
            (tmp_path / name).write_text(content, encoding="utf-8")
        step = dataset_step(new_run)
        step.typed.setFocus()
        qtbot.keyClicks(step.typed, str(tmp_path / name))
        qtbot.keyClick(step.typed, Qt.Key.Key_Return)

        def said() -> bool:
            return any(p.field == "dataset" and p.fix for p in new_run.draft.blocking)

        qtbot.waitUntil(said, timeout=SLOW)
        click(qtbot, step._chosen.replace)
        assert step.drop.isVisible()


class TestSettings:
    def test_what_is_typed_shows_its_problem_beside_it(
        self, chosen: NewRunPage, qtbot: QtBot
    ) -> None:
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        field = step.form.fields["training.epochs"]
        type_over(qtbot, field, "lots")
        assert "lots" in field.problems()[0].text
        type_over(qtbot, field, "2.5")
        assert field.problems() == ()
        assert chosen.draft.recipe.training.epochs == 2.5

    def test_a_preset_fills_the_fields(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        click(qtbot, step.presets.button("quick look"))
        assert step.form.fields["training.epochs"].editor.property("text") == "1"
        assert chosen.draft.recipe.lora.rank == 8

    def test_everything_can_be_shown(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        assert not step.everything.isVisible()
        click(qtbot, step.more)
        assert step.everything.isVisible()
        seed = step.form.fields["training.seed"]
        type_over(qtbot, seed, "7")
        assert chosen.draft.recipe.training.seed == 7

    def test_the_method_is_recommended_with_a_reason(
        self, chosen: NewRunPage, qtbot: QtBot
    ) -> None:
        chosen.go(2)
        step = chosen.step(2)
        assert isinstance(step, MethodStep)
        assert "Recommended" in step.cards["lora"].accessibleDescription()
        assert "LoRA fits" in step._reason.text()
        click(qtbot, step.cards["full"])
        assert chosen.draft.recipe.method == "full"
        assert not step._lora.isVisible()

    def test_targets_are_the_models_own_modules(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(2)
        step = chosen.step(2)
        assert isinstance(step, MethodStep)
        click(qtbot, step.targets.mode.button("some"))
        assert set(step.targets.chips) == {
            *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        }
        for name in ("gate_proj", "up_proj", "down_proj"):
            click(qtbot, step.targets.chips[name])
        assert chosen.draft.recipe.lora.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")


class Worker:
    """Takes orders and says yes, or no."""

    def __init__(self, error: StudioError | None = None) -> None:
        self.error = error
        self.asked: list[Path] = []

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
