"""Conversations in the window: branches, blind votes, history, export, and reopening exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from studio.core.chats import Answer, Kept, Turn
from studio.core.events import Answered, Refused, TokenText
from studio.library import chats, trash
from studio.library.folders import Home
from studio.ui.pages.chat import ChatPage
from studio.ui.pages.chat.transcript import AT_ONCE
from studio.ui.session import Session
from studio.ui.widgets import ConfirmDialog, NameDialog
from tests.support.live_session import SOON, live
from tests.ui.show import Show

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(session: Session, own_model: Path, show: Show, qtbot: QtBot) -> ChatPage:
    made = ChatPage(session)
    made.resize(1056, 800)
    show(made)
    qtbot.waitUntil(lambda: bool(made.sides.model.value()), timeout=SOON)
    return made


@pytest.fixture
def told(page: ChatPage, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """No engine: what would be asked of one is (request, sides), answered by `answer`."""
    asked: list[tuple[str, int]] = []

    def say(messages: object, adapters: list[str], **sampling: float) -> str:
        asked.append((f"r{len(asked)}", len(adapters)))
        return asked[-1][0]

    monkeypatch.setattr(page.talk, "open", lambda *_: None)
    monkeypatch.setattr(page.talk, "say", say)
    return asked


def answer(page: ChatPage, told: list[tuple[str, int]], *texts: str) -> None:
    """Let the last question be answered: in one request, or one a column where histories differ."""
    left = list(texts)
    for request, sides in told[-1:] if told[-1][1] == len(texts) else told[-len(texts) :]:
        for side in range(sides):
            text = left.pop(0)
            page.talk.text.emit(request, side, text)
            page.talk.answered.emit(
                Answered(request=request, text=text, tokens=3, tokens_per_second=9.5, side=side,
                         prompt_tokens=40, reused_tokens=30, context_length=512)
            )  # fmt: skip


def write(page: ChatPage, text: str, qtbot: QtBot) -> None:
    page.composer.edit.setFocus()
    qtbot.keyClicks(page.composer.edit, text)
    qtbot.keyClick(page.composer.edit, Qt.Key.Key_Return)


def shown(page: ChatPage) -> list[tuple[str, str]]:
    return [(view.turn.question, view.cards[0].text.text()) for view in page.transcript.views]


def kept_on_disk(home: Home) -> list[Kept]:
    return [chats.load(home, entry.id) for entry in chats.listing(home)]


def written(home: Home, page: ChatPage, qtbot: QtBot) -> Kept:
    """The file, once it is what the page shows."""
    qtbot.waitUntil(lambda: any(one.turns == page.keeping.kept.turns for one in kept_on_disk(home)))
    return chats.load(home, page.keeping.kept.id)


def test_editing_and_answering_again_branch_and_both_ways_stay(
    page: ChatPage, told: list[tuple[str, int]], home: Home, qtbot: QtBot
) -> None:
    write(page, "One", qtbot)
    answer(page, told, "first")
    write(page, "Two", qtbot)
    answer(page, told, "second")
    assert shown(page) == [("One", "first"), ("Two", "second")]
    question = page.transcript.views[0].question
    qtbot.mouseClick(question.pencil, LEFT)
    question.editor.edit.selectAll()
    qtbot.keyClicks(question.editor.edit, "Eins")
    qtbot.keyClick(question.editor.edit, Qt.Key.Key_Return)
    assert not page.transcript.views[0].question.pencil.isEnabled(), "it is being answered"
    answer(page, told, "erste")
    assert shown(page) == [("Eins", "erste")]
    branches = page.transcript.views[0].question.branches
    assert branches.place.text() == "2 / 2"
    qtbot.mouseClick(branches.back, LEFT)
    assert shown(page) == [("One", "first"), ("Two", "second")]
    qtbot.keyClick(page, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    answer(page, told, "another")
    assert shown(page) == [("One", "first"), ("Two", "another")]
    assert page.transcript.views[1].question.branches.place.text() == "2 / 2"
    qtbot.keyClick(page, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert shown(page)[1] == ("Two", "second")
    assert len(written(home, page, qtbot).turns) == 4


def test_an_edit_left_by_escape_asks_nothing(
    page: ChatPage, told: list[tuple[str, int]], qtbot: QtBot
) -> None:
    write(page, "One", qtbot)
    answer(page, told, "first")
    qtbot.keyClick(page, Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    editor = page.transcript.views[0].question.editor
    assert editor.isVisible()
    qtbot.keyClicks(editor.edit, " more")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Escape)
    assert not editor.isVisible()
    assert len(told) == 1


def test_blind_answers_hide_who_said_them_until_they_are_revealed(
    page: ChatPage, told: list[tuple[str, int]], home: Home, qtbot: QtBot
) -> None:
    page.sides.set_sides(["", "/adapters/loud", "/adapters/calm"])
    qtbot.mouseClick(page.sides.blind, LEFT)
    orders = set()
    for number in range(12):
        write(page, f"Question {number}", qtbot)
        view = page.transcript.views[-1]
        assert not view.voting.buttons[0].isEnabled(), "not everything is answered"
        answer(page, told, "bare", "loud", "calm")
        orders.add(view.turn.order)
        names = [view.cards[column].name.text() for column in view.turn.order]
        assert names == ["Answer A", "Answer B", "Answer C"]
        assert not any("tokens/s" in card.foot.text() for card in view.cards)
        qtbot.mouseClick(view.voting.buttons[1 if number < 9 else -1], LEFT)
    assert len(orders) > 2
    assert page.top.votes.text() == "12 votes"
    assert page.top.reveal.isVisible()
    kept = written(home, page, qtbot)
    assert [turn.vote for turn in kept.turns] == [1] * 9 + [-1] * 3
    qtbot.mouseClick(page.top.reveal, LEFT)
    cards = page.transcript.views[0].cards
    assert [card.name.text() for card in cards] == ["Bare model", "loud", "calm"]
    assert "9.5\N{NO-BREAK SPACE}tokens/s" in cards[0].foot.text()
    assert [card.foot.text().startswith("Voted best") for card in cards] == [False, True, False]
    assert "loud 9" in page.top.votes.text()
    assert not page.top.reveal.isVisible()


def test_conversations_are_found_opened_renamed_and_deleted(
    page: ChatPage,
    told: list[tuple[str, int]],
    home: Home,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page.sampling.system.setPlainText("Be brief.")
    page.sampling.temperature.setText("0.25")
    write(page, "Where is Cologne?", qtbot)
    answer(page, told, "On the **Rhine**")
    first = written(home, page, qtbot)
    qtbot.keyClick(page, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert shown(page) == []
    page.sampling.system.setPlainText("")
    page.sampling.temperature.clear()
    write(page, "Something else", qtbot)
    answer(page, told, "Yes")
    written(home, page, qtbot)
    names = page.history.list
    qtbot.waitUntil(lambda: names.count() == 2)
    qtbot.keyClick(page, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(page.history.search, "rhine")
    qtbot.waitUntil(lambda: names.count() == 1)
    names.setFocus()
    names.setCurrentRow(0)
    qtbot.keyClick(names, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.keeping.kept.id == first.id)
    assert page.keeping.kept.turns == first.turns
    assert shown(page) == [("Where is Cologne?", "On the **Rhine**")]
    assert page.sampling.system.toPlainText() == "Be brief."
    assert page.sampling.values()["temperature"] == 0.25
    monkeypatch.setattr(NameDialog, "ask", lambda self: "Cities")
    qtbot.keyClick(names, Qt.Key.Key_F2)
    qtbot.waitUntil(lambda: chats.load(home, first.id).title == "Cities")
    assert page.top.heading.title.text() == "Cities"
    monkeypatch.setattr(ConfirmDialog, "ask", lambda self: "delete")
    qtbot.keyClick(names, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: [entry.title for entry in trash.listing(home)] == ["Cities"])
    qtbot.waitUntil(lambda: shown(page) == [])


def test_copied_and_exported(
    page: ChatPage, told: list[tuple[str, int]], tmp_path: Path, qtbot: QtBot
) -> None:
    write(page, "One", qtbot)
    answer(page, told, "first")
    page.top.copied.emit()
    assert "## You\n\nOne" in QGuiApplication.clipboard().text()
    qtbot.keyClick(
        page, Qt.Key.Key_C,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
    )  # fmt: skip
    assert QGuiApplication.clipboard().text() == "first"
    page.keeping.export_to(tmp_path / "rows.jsonl")
    qtbot.waitUntil((tmp_path / "rows.jsonl").exists)
    row = json.loads((tmp_path / "rows.jsonl").read_text("utf-8"))
    assert [one["content"] for one in row["messages"]] == ["One", "first"]


def test_what_is_refused_is_said_in_its_column(
    page: ChatPage, told: list[tuple[str, int]], qtbot: QtBot
) -> None:
    write(page, "One", qtbot)
    page.talk.refused.emit(Refused(request=told[-1][0], title="T", text="Too long.", fix="Cut it."))
    card = page.transcript.views[0].cards[0]
    assert card.foot.text() == "Too long. Cut it."
    assert not page.asking.busy


def test_text_is_drawn_on_a_timer_and_counters_say_how_full_the_context_is(
    page: ChatPage, told: list[tuple[str, int]], qtbot: QtBot
) -> None:
    write(page, "One", qtbot)
    card = page.transcript.views[0].cards[0]
    page.talk.text.emit(told[-1][0], 0, "Hel")
    page.talk.text.emit(told[-1][0], 0, "lo")
    assert card.text.text() == ""
    qtbot.waitUntil(lambda: card.text.text() == "Hello")
    answer(page, told, "Hello")
    assert page.top.context.text() == "43 of 512 tokens"
    assert "30 of them known" in card.foot.toolTip()


def test_every_control_is_named_and_reached(
    page: ChatPage, told: list[tuple[str, int]], qtbot: QtBot
) -> None:
    write(page, "One", qtbot)
    answer(page, told, "```py\nx\n```")
    buttons = [b for b in page.findChildren(QPushButton) if b.isVisible()]
    assert len(buttons) > 10
    assert all(button.accessibleName() for button in buttons)
    assert all(button.focusPolicy() & Qt.FocusPolicy.TabFocus for button in buttons)


def test_a_long_conversation_is_there_at_its_end_at_once_and_whole_soon(
    page: ChatPage, qtbot: QtBot
) -> None:
    kept = chats.new(model=page.sides.model.value(), model_name="tiny", sides=[""])
    for number in range(14):
        said = Answer(side="", name="Bare", text=f"Answer {number}\n\n" * 9, stage="done", id="a")
        asked = Turn(id=str(number), question=f"Q{number}", parent=kept.at, answers=[said])
        kept.add(asked)
    page.keeping._loaded(kept)
    assert len(page.transcript.views) == AT_ONCE
    assert page.transcript.views[-1].turn.question == "Q13"
    qtbot.waitUntil(lambda: len(page.transcript.views) == 14)
    assert [view.turn.question for view in page.transcript.views] == [f"Q{n}" for n in range(14)]
    bar = page.transcript.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())
    page.begin_again()
    assert page.transcript.views == []


@pytest.fixture
def living(
    page: ChatPage, session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChatPage]:
    with live(session, qtbot, monkeypatch):
        yield page
        page.hide()


def test_a_real_engine_goes_on_where_a_reopened_conversation_ended(
    living: ChatPage, home: Home, qtbot: QtBot
) -> None:
    page = living
    kept = chats.new(model=page.sides.model.value(), model_name="tiny", sides=[""])
    text = "The capital of France is Paris. " * 6
    answered = Answer(side="", name="Bare model", text=text, stage="done", id="a")
    kept.add(Turn(id="t", question="What is the capital of France?", answers=[answered]))
    chats.save(home, kept)
    page.open_kept(kept.id)
    qtbot.waitUntil(lambda: len(page.transcript.views) == 1)
    page.sampling.longest.setText("6")
    page.sampling.temperature.setText("0")
    for _ in range(2):
        write(page, "And now?", qtbot)
        qtbot.waitUntil(lambda: page.transcript.views[-1].cards[0].answer.over, timeout=SOON)
    first, second = (view.cards[0].answer for view in page.transcript.views[1:])
    assert first.prompt_tokens > 50
    assert first.reused_tokens == 0
    assert second.reused_tokens >= first.prompt_tokens
    page.answer_again()
    card = page.transcript.views[-1].cards[0]
    qtbot.waitUntil(lambda: card.answer.over, timeout=SOON)
    assert card.answer.text == second.text, "greedy, with what was read before"
    assert card.answer.reused_tokens == second.prompt_tokens - 1
    written(home, page, qtbot)


def test_text_of_another_request_is_nobodys(
    page: ChatPage, told: list[tuple[str, int]], qtbot: QtBot
) -> None:
    write(page, "One", qtbot)
    page.talk._take(TokenText(request="long gone", text="x"))
    page.talk.answered.emit(Answered(request="gone", text="x", tokens=1, tokens_per_second=1.0))
    assert page.transcript.views[0].cards[0].answer.text == ""
