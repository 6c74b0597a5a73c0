"""The Chat page by real clicks and keys, with a real engine answering."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from studio.core import events as ev
from studio.library import adapters, jobs
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui import app
from studio.ui.main_window import MainWindow
from studio.ui.pages.chat import ChatPage
from studio.ui.pages.chat.answer_card import AnswerCard
from studio.ui.session import Session
from tests.support.adapter_files import write_adapter
from tests.support.live_session import SOON
from tests.ui.show import Show

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(session: Session, show: Show) -> ChatPage:
    made = ChatPage(session)
    made.resize(1056, 800)
    show(made)
    return made


@pytest.fixture
def talking(loud: str, page: ChatPage, engines: Session, qtbot: QtBot) -> ChatPage:
    """The page with model and adapter found, and engines to be had."""
    qtbot.waitUntil(lambda: page.sides.add.isEnabled(), timeout=SOON)
    return page


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=SOON)
    qtbot.mouseClick(button, LEFT)


def cards(page: ChatPage) -> list[AnswerCard]:
    return page.transcript.views[-1].cards


def over(page: ChatPage) -> bool:
    return all(card.answer.over for card in cards(page)) and not page.asking.busy


def write(page: ChatPage, text: str, qtbot: QtBot) -> None:
    qtbot.mouseClick(page.composer.edit.viewport(), LEFT)
    qtbot.keyClicks(page.composer.edit, text)
    qtbot.keyClick(page.composer.edit, Qt.Key.Key_Return)


def set_number(page: ChatPage, edit: object, text: str, qtbot: QtBot) -> None:
    if not page.sampling.isVisible():
        click(qtbot, page.top.tune)
    edit.clear()  # type: ignore[attr-defined]
    qtbot.keyClicks(edit, text)


def engine_of(page: ChatPage) -> psutil.Process:
    folder = page.talk._folder
    assert folder is not None
    found = jobs.read_events(folder)[0]
    return psutil.Process(next(e.pid for e in found if isinstance(e, ev.Started)))


def test_nobody_to_talk_to_leads_to_the_wizard(
    page: ChatPage, session: Session, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(session.open_page) as caught:
        click(qtbot, page.faces.empty.button)
    assert caught.args == ["new_run"]
    assert not page.composer.isVisible()


def test_names_stand_whole_in_the_smallest_window(
    home: Home, own_model: Path, session: Session, show: Show, qtbot: QtBot
) -> None:
    for font in app._fonts():
        QFontDatabase.addApplicationFont(str(font))
    own_model.rename(home.models / "SmolLM2-135M-Instruct")
    window = MainWindow(session)
    window.resize(window.minimumSize())
    session.open_page.emit("chat")
    show(window)
    page = window.page("chat")
    assert isinstance(page, ChatPage)
    qtbot.waitUntil(lambda: bool(page.sides.model.value()), timeout=SOON)
    boxes = [page.sides.model, *page.sides._boxes]
    assert [box.shown_text() for box in boxes] == ["SmolLM2-135M-Instruct", "Bare model"]


def test_base_beside_adapter_then_swap_stop_and_unload(
    talking: ChatPage, loud: str, session: Session, qtbot: QtBot
) -> None:
    page = talking
    click(qtbot, page.sides.add)
    assert page.sides.sides() == ["", loud]
    set_number(page, page.sampling.temperature, "0", qtbot)
    set_number(page, page.sampling.longest, "12", qtbot)
    write(page, "What is the capital of France?", qtbot)
    assert page.composer.edit.toPlainText() == ""
    qtbot.waitUntil(lambda: over(page), timeout=SOON)
    bare, tuned = (card.answer for card in cards(page))
    assert (bare.stage, tuned.stage) == ("done", "done")
    assert bare.text != tuned.text
    assert bare.tokens == 12
    assert cards(page)[0].text.text() == bare.text
    assert "tokens/s" in cards(page)[0].foot.text()
    folder = page.talk._folder

    page.sides.set_sides([loud])
    page.sides.sides_chosen.emit()
    click(qtbot, page.history.new)
    write(page, "What is the capital of France?", qtbot)
    qtbot.waitUntil(lambda: over(page), timeout=SOON)
    assert cards(page)[0].answer.text == tuned.text
    assert page.talk._folder == folder, "the base stayed loaded"

    set_number(page, page.sampling.longest, "450", qtbot)
    set_number(page, page.sampling.temperature, "1", qtbot)
    write(page, "Go on", qtbot)
    qtbot.waitUntil(lambda: bool(cards(page)[0].answer.text), timeout=SOON)
    qtbot.keyClick(page.composer.edit, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: over(page), timeout=SOON)
    assert cards(page)[0].answer.stage == "stopped"
    assert "Stopped" in cards(page)[0].foot.text()

    click(qtbot, page.top.unload)
    qtbot.waitUntil(lambda: not folder.exists(), timeout=SOON)
    assert not page.talk.living
    assert not page.top.unload.isVisible()


def test_an_engine_that_dies_is_told_and_started_again(talking: ChatPage, qtbot: QtBot) -> None:
    page = talking
    set_number(page, page.sampling.longest, "450", qtbot)
    set_number(page, page.sampling.temperature, "1", qtbot)
    write(page, "Tell me a story", qtbot)
    qtbot.waitUntil(lambda: bool(cards(page)[0].answer.text), timeout=SOON)
    engine_of(page).kill()
    qtbot.waitUntil(page.message.isVisible, timeout=SOON)
    assert page.message.title()
    assert cards(page)[0].answer.stage == "failed"
    assert not page.composer._busy
    set_number(page, page.sampling.longest, "8", qtbot)
    click(qtbot, page.message.button)
    qtbot.waitUntil(lambda: over(page), timeout=SOON)
    assert len(page.transcript.views) == 1
    assert cards(page)[0].answer.tokens > 0
    assert not page.message.isVisible()


def test_a_model_that_wont_load_is_said_in_the_page(
    talking: ChatPage, own_model: Path, qtbot: QtBot
) -> None:
    page = talking
    weights = own_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-400])
    write(page, "Hello", qtbot)
    qtbot.waitUntil(page.message.isVisible, timeout=SOON)
    assert not page.talk.living
    assert cards(page)[0].answer.stage == "failed"


def test_shift_enter_writes_a_line_and_nothing_is_sent_while_empty(
    loud: str, page: ChatPage, qtbot: QtBot
) -> None:
    qtbot.waitUntil(page.composer.isVisible)
    edit = page.composer.edit
    edit.setFocus()
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert not page.composer.button.isEnabled()
    low = edit.height()
    qtbot.keyClicks(edit, "one")
    qtbot.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(edit, "two")
    assert edit.toPlainText() == "one\ntwo"
    assert edit.height() > low
    assert page.composer.button.isEnabled()


def test_only_adapters_that_fit_are_offered(
    loud: str, home: Home, page: ChatPage, tmp_path: Path, qtbot: QtBot
) -> None:
    adapters.import_folder(home, write_adapter(tmp_path / "wide", hidden=96))
    page._session.library_changed.emit()
    qtbot.waitUntil(lambda: page.sides.add.isEnabled())
    box = page.sides._boxes[0]
    assert [box.itemText(n) for n in range(box.count())] == ["Bare model", "Loud", "GGUF file…"]


def test_columns_open_and_close(loud: str, page: ChatPage, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: page.sides.add.isEnabled())
    for _ in range(3):
        click(qtbot, page.sides.add)
    assert len(page.sides.sides()) == 4
    assert not page.sides.add.isVisible()

    def closers() -> list[QPushButton]:
        buttons = [b for b in page.sides.findChildren(QPushButton) if b.isVisible()]
        return [b for b in buttons if b.accessibleName() == "Close column 1"]

    qtbot.waitUntil(lambda: bool(closers()))
    click(qtbot, closers()[0])
    assert len(page.sides.sides()) == 3


def test_questions_the_adapter_never_saw_are_suggested(
    home: Home, own_model: Path, tmp_path: Path, page: ChatPage, qtbot: QtBot
) -> None:
    source = write_adapter(tmp_path / "made")
    trained = AdapterFacts(base=str(own_model), dataset="sample")
    path = str(adapters.add(home, source, "Orders", trained))
    page._session.library_changed.emit()
    qtbot.waitUntil(lambda: page.sides.add.isEnabled())
    page.sides.set_sides([path])
    page.sides.sides_chosen.emit()
    qtbot.waitUntil(
        lambda: any(
            "Order 777" in b.text() for b in page.faces.suggestions.findChildren(QPushButton)
        )
    )
