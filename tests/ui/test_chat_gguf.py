"""GGUF files on the Chat page: chosen as the model or as a column, and what runs them installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from studio.library import exports, gguf_files
from studio.library.exports import ExportFacts
from studio.library.folders import Home
from studio.ui.pages.chat import ChatPage, files
from studio.ui.pages.chat.sides import BARE, MODEL
from studio.ui.session import Session
from tests.support import gguf_files as gguf_parts
from tests.support import gguf_maker
from tests.support.live_session import SOON
from tests.ui.show import Show

pytestmark = pytest.mark.gui


@pytest.fixture
def exported(home: Home, own_model: Path, tmp_path: Path) -> str:
    """A GGUF file as an export of the tiny model leaves it."""
    gguf_parts.parts_are_there()
    folder = tmp_path / "My export"
    folder.mkdir()
    file = gguf_maker.write(own_model, folder / "orders-F32.gguf")
    exports.add(home, ExportFacts(kind="gguf", out=str(folder), model=str(own_model)))
    exports.add(home, ExportFacts(kind="gguf", out=str(tmp_path / "gone"), model=str(own_model)))
    return str(file)


@pytest.fixture
def page(exported: str, loud: str, session: Session, show: Show, qtbot: QtBot) -> ChatPage:
    made = ChatPage(session)
    made.resize(1056, 800)
    show(made)
    qtbot.waitUntil(made.sides.add.isEnabled, timeout=SOON)
    return made


@pytest.fixture
def talking(page: ChatPage, engines: Session) -> ChatPage:
    return page


def texts(page: ChatPage, column: int) -> list[str]:
    box = page.sides.model if column == MODEL else page.sides._boxes[column]
    return [box.itemText(number) for number in range(box.count())]


def choose(page: ChatPage, column: int, text: str) -> None:
    """As a click on an entry of the list does."""
    box = page.sides.model if column == MODEL else page.sides._boxes[column]
    place = box.findText(text)
    assert place >= 0
    box.setCurrentIndex(place)
    box.activated.emit(place)


def ask(page: ChatPage, text: str, qtbot: QtBot) -> list[str]:
    page.sampling.temperature.setText("0")
    page.sampling.longest.setText("8")
    page.composer.edit.setPlainText(text)
    qtbot.keyClick(page.composer.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(
        lambda: (
            bool(page.transcript.views)
            and page.transcript.views[-1].turn.question == text
            and all(card.answer.over for card in page.transcript.views[-1].cards)
        ),
        timeout=SOON,
    )
    answers = [card.answer for card in page.transcript.views[-1].cards]
    assert [answer.stage for answer in answers] == ["done"] * len(answers), page.message.title()
    assert all(answer.tokens and answer.tokens_per_second for answer in answers)
    return [answer.text for answer in answers]


def test_files_that_were_exported_are_offered(page: ChatPage) -> None:
    """Those that are still there: beside their model, and among the models."""
    assert texts(page, 0) == ["Bare model", "Loud", "orders-F32", "GGUF file…"]
    assert "orders-F32.gguf" in texts(page, MODEL)


def test_a_column_of_its_own_beside_the_adapter_then_the_model_itself(
    talking: ChatPage, exported: str, loud: str, qtbot: QtBot
) -> None:
    page = talking
    page.sides.set_sides([BARE, loud])
    page.sides.sides_chosen.emit()
    qtbot.mouseClick(page.sides.add, Qt.MouseButton.LeftButton)
    assert page.sides.sides() == [BARE, loud, exported]
    bare, tuned, file = ask(page, "What is the capital of France?", qtbot)
    assert bare == file != tuned
    views = page.transcript.views[-1]
    assert views.cards[2].answer.name == "orders-F32.gguf"
    assert views.cards[2].answer.prompt_tokens == views.cards[0].answer.prompt_tokens
    before = page.talk._folder
    ask(page, "And of Spain?", qtbot)
    assert page.transcript.views[-1].cards[2].answer.reused_tokens > 0
    kept = page.keeping.kept.id

    choose(page, MODEL, "orders-F32.gguf")
    assert page.sides.model.value() == exported
    assert texts(page, 0) == ["The file itself", "GGUF file…"]
    assert ask(page, "What is the capital of France?", qtbot) == [file]
    assert page.talk._folder != before
    assert "llama.cpp" in page.foot.status.text() or page.foot.status.text() == ""
    page.open_kept(kept)
    qtbot.waitUntil(lambda: page.sides.sides() == [BARE, loud, exported], timeout=SOON)


def test_any_other_file_can_be_picked(
    page: ChatPage, exported: str, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(tmp_path / "Ein anderes Modell.gguf")
    picks = iter(["", other, other])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (next(picks), ""))
    choose(page, 0, "GGUF file…")
    assert page.sides.sides() == [BARE], "nothing was picked"
    choose(page, 0, "GGUF file…")
    assert page.sides.sides() == [other]
    assert page.sides.name(other) == "Ein anderes Modell.gguf"
    choose(page, MODEL, "GGUF file…")
    assert page.sides.model.value() == other
    assert page.sides.sides() == [BARE]
    assert page.sides.name(BARE) == "Ein anderes Modell.gguf"


def test_without_llama_cpp_it_is_offered_and_the_question_stays(
    page: ChatPage, exported: str, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(files, "install", lambda session, parent, names: asked.append(list(names)))
    page.open_chat(exported, [])
    assert asked.pop() == [gguf_files.PART]
    assert not page.talk.living
    page.sides.set_sides([exported])
    page.composer.edit.setPlainText("Hello")
    qtbot.keyClick(page.composer.edit, Qt.Key.Key_Return)
    assert asked == [[gguf_files.PART]]
    assert page.composer.edit.toPlainText() == "Hello"
    assert not page.keeping.kept.turns
    assert not page.talk.living
