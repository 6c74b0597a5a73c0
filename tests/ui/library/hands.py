"""Hands for the Library page: clicks, and answers to dialogs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from studio.ui.pages.library import LibraryPage
from tests.support.live_session import SOON

LEFT = Qt.MouseButton.LeftButton


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=SOON)
    qtbot.mouseClick(button, LEFT)


def pick(page: LibraryPage, row: int, qtbot: QtBot) -> None:
    place = page.list.visualRect(page.model.index(row, 0)).center()
    qtbot.mouseClick(page.list.viewport(), LEFT, pos=place)


def names(page: LibraryPage) -> list[str]:
    return [str(page.model.index(row, 0).data()) for row in range(page.model.rowCount())]


def answer(kind: type[Any], act: Callable[[Any], None]) -> QTimer:
    """Do this to the first dialog of a kind as soon as it is in view."""
    timer = QTimer()

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, kind):
            timer.stop()
            act(dialog)

    timer.timeout.connect(look)
    timer.start(10)
    return timer
