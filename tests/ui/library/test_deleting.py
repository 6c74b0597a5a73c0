"""Deleting from the Library, and what is given back."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.core.errors import StudioError
from studio.library import adapters, trash
from studio.library.folders import Home
from studio.ui.pages.library import LibraryPage
from studio.ui.widgets import ConfirmDialog
from tests.ui.library.hands import answer, click, names, pick

pytestmark = pytest.mark.gui


def test_delete_and_undo(filled: LibraryPage, three: list[Path], home: Home, qtbot: QtBot) -> None:
    pick(filled, 1, qtbot)
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(lambda: names(filled) == ["Orders", "Calm"])
    assert len(trash.listing(home)) == 1
    click(qtbot, filled.message.button)
    qtbot.waitUntil(lambda: len(names(filled)) == 3)
    assert filled.details.name.text() == "Pirate"
    assert three[1].is_dir()
    assert trash.listing(home) == []


def test_the_delete_key_deletes_too(filled: LibraryPage, qtbot: QtBot) -> None:
    filled.list.setFocus()
    qtbot.keyClick(filled.list, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(filled) == ["Pirate", "Calm"])


def test_the_trash_gives_back_and_deletes_for_good(
    filled: LibraryPage, three: list[Path], home: Home, qtbot: QtBot
) -> None:
    filled.list.selectAll()
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(lambda: len(adapters.deleted(home)) == 3)
    click(qtbot, filled.trash)
    dialog = filled.doing.trash_dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.list.count() == 3)
    click(qtbot, dialog.back)
    qtbot.waitUntil(lambda: dialog.list.count() == 2)
    dialog.list.selectAll()
    timer = answer(ConfirmDialog, lambda asked: asked.buttons["yes"].click())
    click(qtbot, dialog.erase)
    qtbot.waitUntil(dialog.empty.isVisible)
    timer.stop()
    assert trash.listing(home) == []
    assert len(adapters.listing(home)) == 1
    dialog.accept()


def test_a_broken_adapter_can_only_be_deleted(
    filled: LibraryPage, three: list[Path], qtbot: QtBot
) -> None:
    (three[0] / "adapter_model.safetensors").unlink()
    filled.reload()
    qtbot.waitUntil(filled.details.problem.isVisible)
    assert not filled.details.chat.isEnabled()
    assert not filled.details.merge.isEnabled()
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(lambda: len(names(filled)) == 2)


def test_an_error_of_the_disk_is_a_message(
    filled: LibraryPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StudioError("Can't be deleted", "It is in use.", "Close what uses it.")

    monkeypatch.setattr(trash, "put", refuse)
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(filled.message.isVisible)
    assert filled.message.title() == "Can't be deleted"
    assert len(names(filled)) == 3
