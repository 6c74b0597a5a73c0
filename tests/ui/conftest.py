"""A themed application, and a session that never starts a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from studio.core.facts import Gpu, Machine
from studio.library import adapters
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui import theme
from studio.ui.pages.new_run import NewRunPage
from studio.ui.session import Session
from tests.support.adapter_files import write_adapter
from tests.support.live_session import live
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
def engines(session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """The session with engines behind it; its windows are hidden before they go."""
    with live(session, qtbot, monkeypatch):
        yield session
        for window in QApplication.topLevelWidgets():
            window.hide()


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


@pytest.fixture
def machine() -> Machine:
    """A card that everything small fits on."""
    gpu = Gpu(
        index=0,
        name="NVIDIA GeForce RTX 4060",
        total_bytes=8 << 30,
        used_bytes=1 << 30,
        free_bytes=7 << 30,
        compute_capability=(8, 9),
    )
    return Machine(
        gpus=(gpu,), ram_total_bytes=16 << 30, ram_free_bytes=8 << 30, disk_free_bytes=1 << 40
    )


@pytest.fixture
def own_model(home: Home, tiny_model: Path) -> Path:
    """The tiny model in the home's models folder."""
    return Path(shutil.copytree(tiny_model, home.models / "tiny-llama"))


@pytest.fixture
def loud(home: Home, own_model: Path, tmp_path: Path) -> str:
    """An adapter of the library that changes what the tiny model says."""
    source = write_adapter(tmp_path / "made", size=0.5)
    return str(adapters.add(home, source, "Loud", AdapterFacts(base=str(own_model))))


@pytest.fixture
def new_run(session: Session, machine: Machine, show: Show) -> NewRunPage:
    """The wizard on a known machine, shown."""
    session.machine = machine
    page = NewRunPage(session)
    page.resize(1056, 800)
    show(page)
    return page


@pytest.fixture
def chosen(new_run: NewRunPage, own_model: Path, qtbot: QtBot) -> NewRunPage:
    """The wizard with the tiny model chosen."""
    new_run.draft.set_model(str(own_model))
    qtbot.waitUntil(lambda: new_run.draft.model is not None)
    return new_run
