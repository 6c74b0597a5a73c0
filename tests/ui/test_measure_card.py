"""Measuring on the Review step: by a real engine, cancelled, refused, and what it says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.library import calibrations, jobs
from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run import measure_card as measuring
from studio.ui.pages.new_run.measure_card import MeasureCard
from studio.ui.pages.new_run.measure_table import rows_of, sentence_of
from studio.ui.pages.new_run.review_step import ReviewStep
from studio.ui.session import Session
from tests.support.live_session import SOON, live
from tests.ui.wizard import SLOW, click

pytestmark = pytest.mark.gui
RESULT = {
    "peak_bytes": 900 << 20,
    "expected_bytes": 1000 << 20,
    "ratio": 0.9,
    "seconds": 1.25,
    "tokens_per_second": 2048.0,
    "parts": {"weights": 500 << 20, "activations": 300 << 20, "adapter": 1000},
    "expected_parts": {"weights": 500 << 20, "activations": 380 << 20, "adapter": 1000},
}


def card_of(page: NewRunPage) -> MeasureCard:
    step = page.step(4)
    assert isinstance(step, ReviewStep)
    return step.measure


@pytest.fixture
def ready(chosen: NewRunPage, qtbot: QtBot) -> NewRunPage:
    """The wizard on its last step with nothing against a start."""
    chosen.draft.set_dataset("sample")
    chosen.draft.set("data.max_length", 64)
    qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
    chosen.go(4)
    assert not chosen.draft.blocking
    return chosen


@pytest.fixture
def keeper(session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with live(session, qtbot, monkeypatch) as connected:
        yield connected


class TestReal:
    def test_a_real_engine_measures_and_the_panel_is_calibrated(
        self, keeper: Session, ready: NewRunPage, qtbot: QtBot
    ) -> None:
        here = keeper.machine
        assert isinstance(here, Machine)
        ready.draft.know_machine(here, 0)
        card = card_of(ready)
        click(qtbot, card.button)
        assert card.busy
        assert not card.button.isEnabled()
        qtbot.waitUntil(lambda: not card.busy, timeout=SOON)
        assert not card.message.isVisible(), card.message.accessibleName()
        assert card.table.isVisible()
        assert "tokens a second" in card.table.words.text()
        qtbot.waitUntil(lambda: bool(ready.draft.around.calibrations), timeout=SLOW)
        assert calibrations.kept(keeper.home)
        assert ready.draft.ratio != 1.0
        assert "Calibrated on this machine" in ready.panel.note.text()
        assert not list(keeper.home.jobs.iterdir())
        assert card.stale.isHidden()
        qtbot.waitUntil(lambda: ready.panel.costs.lines["Time"].isVisible(), timeout=SLOW)
        ready.draft.set("lora.rank", 4)
        assert card.stale.isVisible()

    def test_cancel_ends_the_engine(self, keeper: Session, ready: NewRunPage, qtbot: QtBot) -> None:
        card = card_of(ready)
        click(qtbot, card.button)
        qtbot.waitUntil(lambda: bool(list(keeper.home.jobs.iterdir())), timeout=SLOW)
        click(qtbot, card.cancel_button)
        assert not card.busy
        assert card.button.isEnabled()

        def gone() -> bool:
            return not any(jobs.living(folder) for folder in keeper.home.jobs.iterdir())

        qtbot.waitUntil(gone, timeout=SOON)
        assert card.table.isHidden()


class TestSaid:
    def test_an_error_stands_there_and_can_be_tried_again(
        self, ready: NewRunPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries: list[int] = []

        def refuse(*_: object) -> dict[str, object]:
            tries.append(1)
            raise StudioError("No room", "The card is full.", "Close the game.")

        monkeypatch.setattr(measuring, "measure", refuse)
        card = card_of(ready)
        click(qtbot, card.button)
        qtbot.waitUntil(card.message.isVisible)
        assert card.message.title() == "No room"
        click(qtbot, card.message.button)
        qtbot.waitUntil(lambda: len(tries) == 2 and not card.busy)

    def test_it_waits_for_a_recipe_that_could_be_started(self, ready: NewRunPage) -> None:
        ready.draft.set("training.epochs", "lots")
        assert not card_of(ready).button.isEnabled()
        ready.draft.set("training.epochs", 1)
        assert card_of(ready).button.isEnabled()

    def test_parts_stand_side_by_side_and_the_peak_is_last(self) -> None:
        assert rows_of(RESULT) == [
            ("Weights", 500 << 20, 500 << 20),
            ("Activations", 380 << 20, 300 << 20),
            ("At the peak", 1000 << 20, 900 << 20),
        ]
        assert "0.90 times" in sentence_of(RESULT)
        assert "2,048 tokens a second" in sentence_of(RESULT)
