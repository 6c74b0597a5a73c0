"""Adapters that come into the Library by drop and by dialog."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from studio.ui.pages.library import LibraryPage
from tests.support import gguf_adapter
from tests.ui.library.hands import LEFT, click, names

pytestmark = pytest.mark.gui


def drop_on(page: LibraryPage, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(300, 300), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    page.dropEvent(event)


def choose_kind(page: LibraryPage, which: int, qtbot: QtBot) -> None:
    click(qtbot, page.add)
    menu = page.import_menu
    assert menu is not None
    menu.actions()[which].trigger()
    menu.hide()


@pytest.mark.qt_log_ignore("does not support grabbing the keyboard")
def test_import_by_drop_and_by_dialog(
    page: LibraryPage, source: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_on(page, source)
    qtbot.waitUntil(lambda: names(page) == ["made elsewhere"])
    assert page.details.pill.text() == "imported"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(source))
    choose_kind(page, 0, qtbot)
    qtbot.waitUntil(lambda: len(names(page)) == 2)
    archive = shutil.make_archive(str(source), "zip", source)
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([archive], ""))
    choose_kind(page, 1, qtbot)
    qtbot.waitUntil(lambda: len(names(page)) == 3)


def test_a_gguf_adapter_asks_for_the_base_that_it_is_read_by(
    page: LibraryPage, source: Path, tiny_model: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    drop_on(page, gguf_adapter.write(source, tiny_model, tmp_path / "made.gguf"))
    qtbot.waitUntil(lambda: page.doing.base_dialog is not None)
    dialog = page.doing.base_dialog
    assert dialog is not None
    dialog.path.set_path(str(tiny_model))
    click(qtbot, dialog.use)
    qtbot.waitUntil(lambda: names(page) == ["made"])
    assert page.details.value("Base") == "tiny-llama"


def test_what_is_no_adapter_is_refused_in_the_page(
    page: LibraryPage, tiny_model: Path, qtbot: QtBot
) -> None:
    drop_on(page, tiny_model)
    qtbot.waitUntil(page.message.isVisible)
    assert page.message.title() == "A model, not an adapter"
    assert names(page) == []
