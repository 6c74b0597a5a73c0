"""Choosing a model: cards, folders, GGUF files, the hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QPushButton,
)
from pytestqt.qtbot import QtBot

from studio.core.errors import StudioError
from studio.core.hub import HubModel
from studio.library.folders import Home
from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.fetching import Fetching, Progress
from tests.ui.wizard import SLOW, click, drop, model_step


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


class TestFetching:
    """A stand-in for the download: what the page does with progress, cancel and errors."""

    @pytest.fixture
    def fetching(self, new_run: NewRunPage) -> Fetching:
        return model_step(new_run).fetching

    def test_progress_is_shown_and_the_model_taken(
        self, fetching: Fetching, new_run: NewRunPage, own_model: Path, qtbot: QtBot
    ) -> None:
        go_on = threading.Event()

        def fetch(home: Home, name: str, progress: Progress) -> Path:
            progress("Downloading", 0.4)
            go_on.wait(5)
            return own_model

        fetching.begin("Getting it", fetch, "x/y")
        qtbot.waitUntil(lambda: fetching.bar.value() == 0.4)
        assert fetching.card.isVisible()
        go_on.set()
        qtbot.waitUntil(lambda: new_run.draft.model is not None)
        assert not fetching.isVisible()
        assert new_run.draft.recipe.model.path == str(own_model)

    def test_cancel_reaches_the_download(self, fetching: Fetching, qtbot: QtBot) -> None:
        stopped = threading.Event()

        def fetch(home: Home, name: str, cancelled: Callable[[], bool]) -> Path:
            while not cancelled():
                time.sleep(0.001)
            stopped.set()
            return home.root

        fetching.begin("Getting it", fetch, "x/y")
        click(qtbot, fetching.cancel_button)
        qtbot.waitUntil(stopped.is_set)
        assert not fetching.busy
        assert not fetching.isVisible()

    def test_an_error_offers_another_try(self, fetching: Fetching, qtbot: QtBot) -> None:
        tries: list[str] = []

        def fetch(home: Home, name: str) -> Path:
            tries.append(name)
            raise StudioError("Gated", "Its owner wants its terms accepted.", "Accept them.")

        fetching.begin("Getting it", fetch, "x/y")
        qtbot.waitUntil(fetching.message.isVisible)
        click(qtbot, fetching.message.button)
        qtbot.waitUntil(lambda: len(tries) == 2 and not fetching.busy)

    def test_a_found_model_is_asked_for_by_its_id(self, new_run: NewRunPage, qtbot: QtBot) -> None:
        hub = model_step(new_run).hub
        hub._found([HubModel(id="org/small", gated=True), HubModel(id="org/large")])
        hub.card.show()
        button = next(
            b for b in hub.findChildren(QPushButton) if b.accessibleName() == "Download org/large"
        )
        hub.wanted.disconnect()
        with qtbot.waitSignal(hub.wanted) as heard:
            button.click()
        assert heard.args == ["org/large"]
