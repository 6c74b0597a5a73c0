"""The rows of own sets in the window, by real clicks and keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from studio.core.own_sets import Rating
from studio.library import own_datasets, ratings
from studio.library.folders import Home
from studio.library.own_datasets import Note
from studio.ui.pages.datasets import RowEditor, row_editor
from studio.ui.session import Session
from studio.ui.widgets.fitting_edit import FittingEdit
from tests.ui.show import Show

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}


def rows(home: Home, name: str = "mine") -> list[dict[str, object]]:
    lines = (home.datasets / name / "rows.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def edits(editor: RowEditor) -> list[FittingEdit]:
    return [edit for edit in editor.fields.findChildren(FittingEdit) if edit.isVisible()]


def titles(around: QWidget) -> list[str]:
    return [one.windowTitle() for one in around.findChildren(RowEditor)]


def names(editor: RowEditor) -> list[str]:
    return [edit.accessibleName() for edit in edits(editor)]


def field(editor: RowEditor, name: str) -> FittingEdit:
    return next(edit for edit in edits(editor) if edit.accessibleName() == name)


def write(qtbot: QtBot, edit: FittingEdit, text: str) -> None:
    edit.selectAll()
    qtbot.keyClicks(edit, text)


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.mouseClick(button, LEFT)


@pytest.fixture
def around(show: Show) -> QWidget:
    """The window that dialogs belong to."""
    return show(QWidget())


@pytest.fixture
def editor(session: Session, home: Home, around: QWidget, qtbot: QtBot) -> RowEditor:
    """The rows of a set with a chat and a text with a number."""
    lines = [CHAT, {"text": "once", "line": 3}]

    def fill(path: Path) -> None:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    own_datasets.create(home, "mine", Note(origin="copy"), fill)
    made = RowEditor(session, "mine", around)
    made.open()
    qtbot.waitUntil(lambda: made.list.count() == 2 and len(edits(made)) == 2)
    return made


def test_rows_are_edited_saved_and_undone(editor: RowEditor, home: Home, qtbot: QtBot) -> None:
    write(qtbot, field(editor, "Assistant"), "Hello there")
    qtbot.keyClick(editor.list, Qt.Key.Key_Down)
    said = {"role": "assistant", "content": "Hello there"}
    qtbot.waitUntil(lambda: rows(home)[0] == {"messages": [CHAT["messages"][0], said]})
    qtbot.waitUntil(lambda: "line (JSON)" in names(editor))
    write(qtbot, field(editor, "text"), "twice")
    write(qtbot, field(editor, "line (JSON)"), "[4]")
    qtbot.keyClick(editor, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: rows(home)[1] == {"text": "twice", "line": [4]})
    click(qtbot, editor.undo)
    qtbot.waitUntil(lambda: rows(home)[1] == {"text": "once", "line": 3})
    click(qtbot, editor.undo)
    qtbot.waitUntil(lambda: rows(home)[0] == CHAT)
    click(qtbot, editor.undo)
    qtbot.waitUntil(lambda: editor.message.title() == "Nothing to undo")


def test_rows_are_added_and_deleted(editor: RowEditor, home: Home, qtbot: QtBot) -> None:
    click(qtbot, editor.add)
    qtbot.waitUntil(lambda: editor.list.count() == 3 and editor.list.currentRow() == 1)
    qtbot.waitUntil(lambda: "User" in names(editor))
    write(qtbot, field(editor, "User"), "New")
    click(qtbot, editor.close_button)
    qtbot.waitUntil(lambda: len(rows(home)) == 3 and "New" in json.dumps(rows(home)[1]))


def test_the_last_row_can_be_deleted(editor: RowEditor, home: Home, qtbot: QtBot) -> None:
    click(qtbot, editor.delete)
    qtbot.waitUntil(lambda: editor.list.count() == 1)
    click(qtbot, editor.delete)
    qtbot.waitUntil(lambda: editor.list.count() == 0)
    assert rows(home) == []
    assert not editor.delete.isEnabled()


def test_what_is_no_json_is_said_and_not_saved(editor: RowEditor, home: Home, qtbot: QtBot) -> None:
    qtbot.keyClick(editor.list, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: "line (JSON)" in names(editor))
    write(qtbot, field(editor, "line (JSON)"), "[4")
    qtbot.keyClick(editor, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert editor.message.title() == "Not JSON"
    assert rows(home)[1] == {"text": "once", "line": 3}


def test_rated_answers_are_edited_in_a_copy(
    session: Session, home: Home, around: QWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ({"role": "user", "content": "Hi"},)
    ratings.rate(home, Rating(answer="1", messages=asked, text="Ho", rating="up"))
    growing = RowEditor(session, "chats", around)
    growing.open()
    qtbot.waitUntil(lambda: growing.list.count() == 1)
    assert not growing.delete.isVisible()
    assert all(edit.isReadOnly() for edit in edits(growing))
    monkeypatch.setattr(row_editor.NameDialog, "ask", lambda self: "mine")
    click(qtbot, growing.copy)
    qtbot.waitUntil(lambda: "Rows of mine" in titles(around))
    copy = next(one for one in around.findChildren(RowEditor) if one.windowTitle().endswith("mine"))
    qtbot.waitUntil(lambda: copy.list.count() == 1)
    click(qtbot, copy.delete)
    qtbot.waitUntil(lambda: rows(home) == [])
    assert rows(home, "chats") == [CHAT]
    copy.accept()
