"""The Chat page by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut

if TYPE_CHECKING:
    from studio.ui.pages.chat.page import ChatPage


def listen(page: ChatPage) -> None:
    """Put every shortcut onto the page; they work wherever in it the focus is."""
    keys: dict[str, Callable[[], object]] = {
        "Esc": page.stop,
        "Ctrl+R": page.answer_again,
        "Ctrl+N": page.begin_again,
        "Ctrl+F": lambda: _search(page),
        "Ctrl+H": page.top.beside.toggle,
        "Ctrl+Shift+C": lambda: _copy_last(page),
        "Ctrl+Up": lambda: _edit_last(page),
        "Alt+Left": lambda: _switch(page, -1),
        "Alt+Right": lambda: _switch(page, 1),
    }
    for sequence, act in keys.items():
        shortcut = QShortcut(QKeySequence(sequence), page)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(act)


def _search(page: ChatPage) -> None:
    page.top.beside.setChecked(True)
    page.history.search.setFocus()


def _copy_last(page: ChatPage) -> None:
    if page.transcript.views:
        page.transcript.views[-1].cards[0].copy.click()


def _edit_last(page: ChatPage) -> None:
    if page.transcript.views and not page.asking.busy:
        page.transcript.views[-1].question.edit()


def _switch(page: ChatPage, step: int) -> None:
    """The last fork on screen goes to another branch."""
    kept = page.keeping.kept
    for turn in reversed(kept.path()):
        if len(kept.branches(turn)) > 1:
            page.switch(turn, step)
            return
