"""Rows as they stand in their files, opened from a count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.core.findings import RowRef, SeenRow
from studio.core.recipe import DatasetPart
from studio.ui.background import Task
from studio.ui.session import Session
from studio.ui.widgets import Button, Card, clear, column, label, row

AT_ONCE = 10
_LONGEST = 300
"""Characters of a message that are shown."""


def seen(
    preparer: Any, parts: tuple[DatasetPart, ...], refs: tuple[RowRef, ...], cancelled: Any
) -> list[SeenRow]:
    """Ask the preparer for rows by their places."""
    found: list[SeenRow] = preparer.rows(parts, refs, cancelled=cancelled)
    return found


class SeenRows(QWidget):
    """Some rows at a time; `show_rows` fetches them, `close_rows` forgets them."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._task: Task | None = None
        self._parts: tuple[DatasetPart, ...] = ()
        self._refs: tuple[RowRef, ...] = ()
        self._lines = QVBoxLayout()
        self._lines.setSpacing(8)
        self._state = label("", "mute", wrap=True)
        self.more = Button("Show more", "link")
        self.more.clicked.connect(self._fetch)
        foot = row(self._state, None, self.more)
        self.setLayout(column(self._lines, foot, spacing=8))
        self.hide()

    def show_rows(self, parts: tuple[DatasetPart, ...], refs: Sequence[RowRef]) -> None:
        """Show the rows at these places."""
        self.close_rows()
        self._parts, self._refs = parts, tuple(refs)
        self.show()
        self._fetch()

    def close_rows(self) -> None:
        """Show none."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        clear(self._lines)
        self.hide()

    def _fetch(self) -> None:
        self._state.setText("Reading the rows")
        self.more.hide()
        refs, self._refs = self._refs[:AT_ONCE], self._refs[AT_ONCE:]
        self._task = self._session.prepare(
            seen, self._parts, refs, done=self._found, failed=self._failed
        )

    def _found(self, rows: Sequence[SeenRow]) -> None:
        self._task = None
        for one in rows:
            self._lines.addWidget(_line(one))
        self._state.setText("")
        self.more.setVisible(bool(self._refs))

    def _failed(self, error: StudioError) -> None:
        self._task = None
        self._state.setText(f"{error.text} {error.fix}")


def _line(one: SeenRow) -> QWidget:
    """A row: where it is, why it is here, and what it says."""
    place = one.place
    parts = (f"Row {place.row:,}", place.file, place.note)
    card = Card("raised", margin=10, spacing=4)
    where = " \N{MIDDLE DOT} ".join(part for part in parts if part)
    card.add(label(where, "mute", wrap=True))
    if one.problem:
        card.add(label(one.problem, "warn", wrap=True))
    for said in one.said[:4]:
        name = label(said.role.capitalize(), "mute")
        name.setFixedWidth(72)
        text = said.text if len(said.text) <= _LONGEST else f"{said.text[:_LONGEST]}…"
        words = label(text, "", wrap=True, selectable=True)
        line = row(*([column(name, None)] if said.role else []), spacing=8)
        line.addLayout(column(words), 1)
        card.add(line)
    card.setAccessibleName(where)
    return card
