"""Optional parts in the window: offered with their size, installed, given up, mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.library import parts
from studio.ui.pages.parts import InstallDialog, PartsCard
from studio.ui.session import Session
from tests.support.tiny_wheels import NAME, offer, only_index, toy_part, write_wheel
from tests.ui.show import Show

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return only_index(tmp_path, monkeypatch)


def test_a_part_is_installed_by_a_click(
    qtbot: QtBot, session: Session, show: Show, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = offer(monkeypatch, toy_part())
    write_wheel(index, NAME, "1.0")
    dialog = InstallDialog(session, None, [toy])
    show(dialog)
    with qtbot.waitSignal(dialog.accepted, timeout=60_000):
        qtbot.mouseClick(dialog.start, LEFT)
    assert parts.state(toy) == "installed"


def test_what_goes_wrong_stands_in_the_dialog_which_can_try_again(
    qtbot: QtBot, session: Session, show: Show, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = offer(monkeypatch, toy_part())
    dialog = InstallDialog(session, None, [toy])
    show(dialog)
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(dialog.problem.isVisible, timeout=60_000)
    assert dialog.start.isVisible()
    write_wheel(index, NAME, "1.0")
    with qtbot.waitSignal(dialog.accepted, timeout=60_000):
        qtbot.mouseClick(dialog.start, LEFT)


def test_the_card_lists_each_part_and_offers_what_is_missing(
    qtbot: QtBot, session: Session, show: Show, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, toy_part())
    card = PartsCard(session)
    show(card)
    card.refresh()
    qtbot.waitUntil(lambda: "toy" in card.buttons)
    assert card.buttons["toy"].accessibleName() == "Install The toy"
