"""Tab goes through the window as it reads, and no click leaves a focus ring behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.ui.main_window import MainWindow
from studio.ui.pages.new_run import NewRunPage
from studio.ui.session import Session
from studio.ui.widgets import ConfirmDialog

pytestmark = pytest.mark.gui


@pytest.fixture
def window(session: Session, qtbot: QtBot) -> MainWindow:
    made = MainWindow(session)
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def _stops(qtbot: QtBot, window: MainWindow, key: Qt.Key) -> list[str]:
    """The names of what the key visits, from the page on, until it comes round."""
    window.stack.setFocus()
    found: list[str] = []
    while True:
        at = QApplication.focusWidget()
        assert at is not None
        qtbot.keyClick(at, key)
        now = QApplication.focusWidget()
        assert now is not None
        if now.accessibleName() in found:
            return found
        found.append(now.accessibleName())


def test_what_is_built_late_has_its_place(window: MainWindow, qtbot: QtBot) -> None:
    page = window.page("new_run")
    assert isinstance(page, NewRunPage)
    page.go(3)
    there = _stops(qtbot, window, Qt.Key.Key_Tab)
    wanted = ["Epochs", "Learning rate", "Show everything", "Back", "Continue", "New run"]
    assert [name for name in there if name in wanted] == wanted
    assert "Seed" not in there
    qtbot.mouseClick(page.step(3).more, Qt.MouseButton.LeftButton)  # type: ignore[attr-defined]
    there = _stops(qtbot, window, Qt.Key.Key_Tab)
    assert there.index("Show less") < there.index("Seed") < there.index("Back")
    back = _stops(qtbot, window, Qt.Key.Key_Backtab)
    assert back.index("Back") < back.index("Seed") < back.index("Show less")


def test_a_click_in_the_side_bar_rings_no_control(window: MainWindow, qtbot: QtBot) -> None:
    for key in ("library", "runs", "new_run"):
        qtbot.mouseClick(window._nav[key], Qt.MouseButton.LeftButton)
        assert window.current() == key
        assert QApplication.focusWidget() is window.stack


def test_enter_presses_what_has_the_focus(window: MainWindow, qtbot: QtBot) -> None:
    page = window.page("new_run")
    assert isinstance(page, NewRunPage)
    page.forward.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(page.forward, Qt.Key.Key_Return)
    assert page.draft.step == 1
    qtbot.keyClick(page.forward, Qt.Key.Key_Space)
    assert page.draft.step == 2


def test_enter_in_a_field_presses_no_button(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    page = window.page("new_run")
    assert isinstance(page, NewRunPage)
    page.go(1)
    typed = page.step(1).chooser.typed  # type: ignore[attr-defined]
    typed.setFocus()
    qtbot.keyClicks(typed, str(tmp_path / "rows.jsonl"))
    qtbot.keyClick(typed, Qt.Key.Key_Return)
    assert not typed.isVisible()
    assert page.draft.step == 1


def test_enter_in_a_question_presses_the_button_with_the_focus(
    window: MainWindow, qtbot: QtBot
) -> None:
    dialog = ConfirmDialog(window, "Sure?", "Really.", [("yes", "Yes", "danger")])
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.isActiveWindow)
    dialog.cancel_button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(dialog.cancel_button, Qt.Key.Key_Enter)
    assert not dialog.isVisible()
    assert dialog.answer() == ""


def test_a_problem_among_the_hidden_settings_opens_them(window: MainWindow) -> None:
    page = window.page("new_run")
    assert isinstance(page, NewRunPage)
    page.go(3)
    step = page.step(3)
    assert step.everything.isHidden()  # type: ignore[attr-defined]
    page.draft.set("training.micro_batch_size", 999)
    assert step.everything.isVisible()  # type: ignore[attr-defined]
