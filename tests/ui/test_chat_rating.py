"""Answers rated and corrected by real clicks and keys become rows on the disk."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.core.chats import Answer, Turn, history
from studio.library.folders import Home
from studio.ui.pages.chat import ChatPage
from studio.ui.pages.chat.answer_card import AnswerCard
from studio.ui.pages.datasets import RowEditor
from studio.ui.session import Session
from tests.support.live_session import SOON
from tests.ui.show import Show

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


def rows(home: Home, name: str = "rows.jsonl") -> list[dict[str, Any]]:
    path = home.datasets / "chats" / name
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.fixture
def page(session: Session, show: Show) -> ChatPage:
    made = ChatPage(session)
    made.resize(1056, 800)
    show(made)
    return made


@pytest.fixture
def talking(own_model: object, page: ChatPage, engines: Session, qtbot: QtBot) -> ChatPage:
    """The page with the tiny model found, and engines to be had."""
    qtbot.waitUntil(lambda: bool(page.sides.model.value()), timeout=SOON)
    return page


def answered(page: ChatPage, text: str, qtbot: QtBot) -> AnswerCard:
    """Ask, and wait for the answer."""
    qtbot.keyClicks(page.composer.edit, text)
    qtbot.keyClick(page.composer.edit, Qt.Key.Key_Return)
    card = page.transcript.views[-1].cards[0]
    qtbot.waitUntil(lambda: card.answer.over and card.thumbs.isVisible(), timeout=SOON)
    return card


def test_rated_and_corrected_answers_become_rows(
    talking: ChatPage, home: Home, qtbot: QtBot
) -> None:
    page = talking
    page.sampling.longest.setText("5")
    page.sampling.system.setPlainText("Be brief.")
    card = answered(page, "One", qtbot)
    card.thumbs.up.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(card.thumbs.up, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: len(rows(home)) == 1)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One"}]
    assert rows(home)[0]["messages"] == [
        *asked,
        {"role": "assistant", "content": card.answer.text},
    ]
    page.sampling.system.setPlainText("Something else, from now on.")
    qtbot.mouseClick(card.pencil, LEFT)
    card.correction.edit.selectAll()
    qtbot.keyClicks(card.correction.edit, "Better")
    enter = (Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(card.correction.edit, *enter)
    better = {"role": "assistant", "content": "Better"}
    qtbot.waitUntil(lambda: rows(home) == [{"messages": [*asked, better]}])
    assert (card.text.text(), card.foot.text().split()[0]) == ("Better", "Corrected")
    (pair,) = rows(home, "preferences.jsonl")
    assert (pair["prompt"], pair["chosen"]) == (asked, [better])

    second = answered(page, "Two", qtbot)
    qtbot.mouseClick(second.thumbs.up, LEFT)
    qtbot.waitUntil(lambda: len(rows(home)) == 2)
    assert rows(home)[1]["messages"][1:3] == [asked[1], better], "later turns see the correction"
    qtbot.waitUntil(lambda: page.collected.text() == "2 rows collected")
    qtbot.mouseClick(page.collected, LEFT)
    qtbot.waitUntil(lambda: bool(page.findChildren(RowEditor)))
    (editor,) = page.findChildren(RowEditor)
    qtbot.waitUntil(lambda: editor.list.count() == 2)
    editor.accept()


def test_a_thumb_pressed_again_takes_the_rating_back(show: Show, qtbot: QtBot) -> None:
    card = AnswerCard(Answer(side="", name="Bare model", text="Hi", stage="done"), False)
    show(card)
    for press, rating, word in (("up", "up", "Good"), ("down", "down", "Bad"), ("down", "", "")):
        with qtbot.waitSignal(card.rated):
            qtbot.mouseClick(getattr(card.thumbs, press), LEFT)
        assert card.answer.rating == rating
        assert card.foot.text().startswith(word)
    assert not card.thumbs.up.isChecked()
    assert not card.thumbs.down.isChecked()


def test_a_correction_left_by_escape_changes_nothing(show: Show, qtbot: QtBot) -> None:
    card = AnswerCard(Answer(side="", name="Bare model", text="Hi", stage="done"), False)
    show(card)
    qtbot.mouseClick(card.pencil, LEFT)
    qtbot.keyClicks(card.correction.edit, " there")
    qtbot.keyClick(card.correction.edit, Qt.Key.Key_Escape)
    assert (card.answer.rating, card.answer.correction, card.text.text()) == ("", "", "Hi")
    assert card.text.isVisible()
    qtbot.mouseClick(card.pencil, LEFT)
    qtbot.mouseClick(card.correction.take, LEFT)
    assert (card.answer.rating, card.answer.correction) == ("up", "")


def test_answers_that_are_not_there_cannot_be_rated(show: Show) -> None:
    for answer in (
        Answer(side="", name="Bare", text="Hi", stage="growing"),
        Answer(side="", name="Bare", stage="failed"),
    ):
        card = AnswerCard(answer, False)
        show(card)
        assert not card.thumbs.isVisible()
        assert not card.pencil.isVisible()


def test_a_correction_is_what_was_said() -> None:
    answer = Answer(side="", name="Bare", text="Bad", stage="done", correction="Good")
    first = Turn(id="1", question="One", answers=[answer])
    said = history([first, Turn(id="2", question="Two")], 0)
    assert said[1]["content"] == "Good"
