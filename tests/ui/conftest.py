"""A themed application, and a session that never starts a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from studio.library.folders import Home
from studio.ui import theme
from studio.ui.session import Session
from tests.ui.show import Show


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["finetune-studio"]


@pytest.fixture
def themed(qapp: QApplication) -> theme.Theme:
    """The application in the dark theme."""
    return theme.install(qapp, theme.Mode.DARK)


@pytest.fixture
def session(themed: theme.Theme, home: Home) -> Iterator[Session]:
    """A session on a fresh home; it talks to no keeper until a test starts it."""
    made = Session(home)
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture
def show(qtbot: QtBot, themed: theme.Theme) -> Show:
    """Show a widget in its own window and wait until it can take keys."""

    def shown(widget: QWidget) -> QWidget:
        qtbot.addWidget(widget)
        widget.show()
        widget.activateWindow()
        qtbot.waitUntil(widget.isActiveWindow)
        return widget

    return shown
