"""The parts of the bar as lines, and the sheet that opens under one of them."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.ui import format as say
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.lines import PartLine
from studio.ui.pages.new_run.fit.reserve import ReserveEdit
from studio.ui.pages.new_run.fit.room import Room
from studio.ui.pages.new_run.fit.sheet import PartSheet
from studio.ui.pages.new_run.fit.shrinking import best_for
from studio.ui.pages.new_run.fit.words import COLORS, OTHERS, RESERVE
from studio.ui.session import Session

SOON = 150
"""Milliseconds after the last change until the open sheet's button is reckoned anew."""


class PartLines(QWidget):
    """A line a part; one of them may be open. What is free shows as no line: it is the rest."""

    opened = Signal(QWidget)
    """The sheet that opened, so that it can be brought into view."""

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self.lines = {part: PartLine(part) for part in (*COLORS, OTHERS, RESERVE)}
        self.sheet = PartSheet()
        self.sheet.apply.connect(draft.take_over)
        self.reserve = ReserveEdit(session)
        self.sheet.extra.addWidget(self.reserve)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(0)
        for part, line in self.lines.items():
            line.clicked.connect(lambda _=False, asked=part: self.toggle(asked))
            self._box.addWidget(line)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON)
        self._soon.timeout.connect(self._offer)

    def show_room(self, room: Room) -> None:
        """Show the sizes; a part that is gone closes."""
        sizes = {**room.parts, OTHERS: room.others, RESERVE: room.reserve}
        for part, line in self.lines.items():
            kept = part == RESERVE and room.total
            line.say(say.size(sizes.get(part, 0)) if sizes.get(part) or kept else "")
        if self.sheet.part:
            if self.lines[self.sheet.part].isHidden():
                self.close_sheet()
            else:
                self._soon.start()

    def toggle(self, part: str) -> None:
        """Open a part's sheet, or close it."""
        if self.sheet.part == part:
            self.close_sheet()
        else:
            self.open(part)

    def open(self, part: str) -> None:
        """Show what a part is, under its line."""
        for each, line in self.lines.items():
            line.setChecked(each == part)
        self._box.removeWidget(self.sheet)
        self._box.insertWidget(self._box.indexOf(self.lines[part]) + 1, self.sheet)
        self.sheet.explain(part)
        self.reserve.setVisible(part == RESERVE)
        self._offer()
        self.sheet.show()
        self.opened.emit(self.sheet)

    def close_sheet(self) -> None:
        """Close what is open."""
        for line in self.lines.values():
            line.setChecked(False)
        self.sheet.part = ""
        self.sheet.hide()

    def _offer(self) -> None:
        draft, part = self._draft, self.sheet.part
        if part in COLORS:
            reckon = draft.estimate_of
            self.sheet.offer(best_for(part, draft.recipe, draft.estimate, reckon))
