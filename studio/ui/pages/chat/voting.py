"""Which of several unlabelled answers is the best: a vote, and whose they were."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.core.chats import Turn
from studio.ui.widgets import Button, label

TIE = -1


def letter(place: int) -> str:
    """What an unlabelled answer is called by its place on screen."""
    return f"Answer {chr(ord('A') + place)}"


class Voting(QWidget):
    """A button for every answer and one for a tie; a vote can be changed until names are shown."""

    voted = Signal(object)
    """The column that was best, `TIE`, or None for no vote."""

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self._turn = turn
        self.buttons: dict[int, Button] = {}
        box = QHBoxLayout(self)
        box.setContentsMargins(2, 0, 0, 0)
        box.setSpacing(8)
        self.said = label("Which is best?", "mute")
        box.addWidget(self.said)
        for place, column in enumerate(turn.shown):
            self._add(column, letter(place))
        self._add(TIE, "Tie")
        for button in self.buttons.values():
            box.addWidget(button)
        box.addStretch(1)
        self.refresh()

    def refresh(self) -> None:
        """Show the vote as it is; there is none before every answer is over."""
        over = all(answer.over for answer in self._turn.answers)
        for column, button in self.buttons.items():
            button.setChecked(self._turn.vote == column)
            button.setEnabled(over)

    def _add(self, column: int, text: str) -> None:
        button = Button(text, "chip")
        button.setCheckable(True)
        button.clicked.connect(lambda on, chosen=column: self._vote(chosen if on else None))
        self.buttons[column] = button

    def _vote(self, column: int | None) -> None:
        self._turn.vote = column
        self.refresh()
        self.voted.emit(column)
