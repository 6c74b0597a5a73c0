"""The window's server: started from the Library, asked by a program, shown, stopped."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from studio.core.events import Serving
from studio.library import serving
from studio.library.folders import Home
from studio.ui.main_window import MainWindow
from studio.ui.pages.chat import ChatPage
from studio.ui.pages.serving import ServingDialog
from studio.ui.pages.serving.dialog import CONNECTION, QUESTION, WAIT
from studio.ui.pages.serving.faces import HIDDEN, requests
from studio.ui.session import Session
from tests.support import adapters as made
from tests.support.live_session import SOON, live
from tests.ui.show import Show

OWN_WARNINGS = "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"


@pytest.fixture
def dialog(
    session: Session, own_model: Path, show: Show, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServingDialog]:
    with live(session, qtbot, monkeypatch):
        window = MainWindow(session)
        show(window)
        yield window._serving()


def press(qtbot: QtBot, button: QPushButton) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def copied() -> str:
    return QGuiApplication.clipboard().text()


def face(dialog: ServingDialog) -> int:
    return dialog.face


@pytest.mark.filterwarnings(OWN_WARNINGS)
def test_from_start_to_stop(
    dialog: ServingDialog, session: Session, home: Home, own_model: Path, qtbot: QtBot
) -> None:
    adapter = made.make_adapter(own_model, home.adapters / "orders")
    session.open_serving.emit(str(own_model), [str(adapter)])
    assert dialog.isVisible()
    assert "orders" in dialog.title.text()
    assert face(dialog) == QUESTION
    press(qtbot, dialog.question.start)
    assert face(dialog) == WAIT
    qtbot.waitUntil(lambda: face(dialog) == CONNECTION, timeout=SOON)
    shown = dialog.connection
    assert shown.model.value() == "orders"
    assert shown.count.text() == "No request yet"
    assert shown.key.text() == HIDDEN
    assert HIDDEN in shown.code.toPlainText()
    press(qtbot, shown.copies["key"])
    key = copied()
    assert key == serving.key(home)
    press(qtbot, shown.copies["address"])
    client = openai.OpenAI(base_url=copied(), api_key=key, max_retries=0)
    assert [model.id for model in client.models.list()] == ["tiny-llama", "orders"]
    qtbot.waitUntil(lambda: shown.count.text() == "1 request", timeout=SOON)
    for kind, word in (
        ("curl", "curl http"),
        ("Python", "OpenAI("),
        ("Other programs", "Base URL"),
    ):
        press(qtbot, shown.kinds.button(kind))
        press(qtbot, shown.copy_code)
        assert word in copied()
        assert key in copied()
        assert key not in shown.code.toPlainText()
    press(qtbot, shown.show_key)
    assert shown.key.text() == key
    assert key in shown.code.toPlainText()
    press(qtbot, shown.hide_button)
    assert not dialog.isVisible()
    assert client.models.list()
    qtbot.waitUntil(lambda: any(job.kind == "serve" for job in session.jobs), timeout=SOON)
    session.open_serving.emit(str(own_model), [])
    assert dialog.problem.title() == "Another model is served"
    press(qtbot, shown.stop)
    qtbot.waitUntil(lambda: not dialog.server.living, timeout=SOON)
    assert not dialog.isVisible()
    with pytest.raises(openai.APIConnectionError):
        client.models.list()
    qtbot.waitUntil(lambda: not list(home.jobs.iterdir()), timeout=SOON)


def test_a_taken_port_is_said_and_another_is_asked_for(
    dialog: ServingDialog, session: Session, own_model: Path, qtbot: QtBot
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        session.open_serving.emit(str(own_model), [])
        dialog.question.port.setText(str(taken.getsockname()[1]))
        press(qtbot, dialog.question.start)
        qtbot.waitUntil(dialog.problem.isVisible, timeout=SOON)
    assert dialog.problem.title() == "The port is taken"
    assert face(dialog) == QUESTION
    dialog.question.port.setText("x")
    press(qtbot, dialog.question.start)
    assert dialog.problem.title() == "No such port"
    press(qtbot, dialog.question.leave)
    assert not dialog.isVisible()


def test_given_up_while_it_loads(
    dialog: ServingDialog, session: Session, home: Home, own_model: Path, qtbot: QtBot
) -> None:
    session.open_serving.emit(str(own_model), [])
    press(qtbot, dialog.question.start)
    press(qtbot, dialog.wait.stop)
    qtbot.waitUntil(lambda: not dialog.server.living, timeout=SOON)
    qtbot.waitUntil(lambda: not list(home.jobs.iterdir()), timeout=SOON)


def test_chat_hands_on_who_speaks_in_it(
    session: Session,
    home: Home,
    own_model: Path,
    show: Show,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adapter = made.make_adapter(own_model, home.adapters / "orders")
    with live(session, qtbot, monkeypatch):
        page = ChatPage(session)
        show(page)
        page.open_chat(str(own_model), [str(adapter)])
        qtbot.waitUntil(lambda: page.talk.ready, timeout=SOON)
        with qtbot.waitSignal(session.open_serving) as heard:
            page.top.used.emit()
        assert heard.args == [str(own_model), [str(adapter)]]
        page.talk.leave()
        qtbot.waitUntil(lambda: not list(home.jobs.iterdir()), timeout=SOON)


def test_requests_in_words() -> None:
    told = Serving(address="", models=())
    assert requests(told) == "No request yet"
    assert requests(Serving(address="", models=(), requests=1)) == "1 request"
    busy = Serving(address="", models=(), requests=1234, active=2)
    assert requests(busy) == "1,234 requests, 2 being answered"
