"""The head of the Chat page: title, counters, and what can be done with the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QWidget

from studio.core.chats import Turn
from studio.ui.widgets import Button, Heading, IconButton, Pill, column


class Top(QWidget):
    """A heading with buttons; says how full the model's context is, and how the votes stand."""

    copied = Signal()
    exported = Signal()
    renamed = Signal()
    deleted = Signal()
    used = Signal()
    """Other programs are to talk with these."""

    def __init__(self) -> None:
        super().__init__()
        self.beside = IconButton("list", "Conversations (Ctrl+H)")
        self.beside.setCheckable(True)
        self.beside.setChecked(True)
        self.tune = Button("Settings", "", "sliders", "Temperature, length, seed, system message")
        self.tune.setCheckable(True)
        self.unload = Button("Unload", "", "x", "Give the model's memory back")
        self.reveal = Button("Reveal", "", "search", "Say who answered, and count the votes")
        self.more = IconButton("more", "Use elsewhere, copy, export, rename, delete")
        self.more.clicked.connect(self._open_menu)
        self.heading = Heading(
            "Chat", "", self.reveal, self.tune, self.unload, self.more, self.beside
        )
        self.context = Pill()
        self.votes = Pill()
        self.heading.beside.addWidget(self.context)
        self.heading.beside.addWidget(self.votes)
        self.setLayout(column(self.heading))

    def show_state(
        self, title: str, path: Sequence[Turn], known: bool, living: bool, blind: bool
    ) -> None:
        """Show what there is to show, and the buttons that make sense."""
        self.heading.set_text(title or "Chat", "")
        self.tune.setVisible(known)
        self.unload.setVisible(living)
        self.reveal.setVisible(blind)
        self.more.setVisible(bool(path))
        self.context.show_as(*_fullness(path))

    def say_votes(self, votes: Mapping[str, int], count: int) -> None:
        """How often each was the best; while that is hidden, only how many votes there are."""
        if votes:
            said = [f"{name or 'ties'} {number}" for name, number in votes.items()]
            self.votes.show_as("  \N{MIDDLE DOT}  ".join(said), "soft")
        else:
            self.votes.show_as(f"{count} vote{'s' if count != 1 else ''}" if count else "", "soft")

    def _open_menu(self) -> None:
        menu = QMenu(self)
        for text, signal in (
            ("Use in other programs\N{HORIZONTAL ELLIPSIS}", self.used),
            ("Copy as Markdown", self.copied),
            ("Export\N{HORIZONTAL ELLIPSIS}", self.exported),
            ("Rename\N{HORIZONTAL ELLIPSIS}", self.renamed),
            ("Delete\N{HORIZONTAL ELLIPSIS}", self.deleted),
        ):
            menu.addAction(text, signal.emit)
        menu.exec(self.more.mapToGlobal(self.more.rect().bottomLeft()))
        menu.deleteLater()


def _fullness(path: Sequence[Turn]) -> tuple[str, str]:
    """The fullest column's tokens of how many, with a tone."""
    answers = path[-1].answers if path else []
    used = max((answer.prompt_tokens + answer.tokens for answer in answers), default=0)
    room = max((answer.context_length for answer in answers), default=0)
    if not used or not room:
        return "", "plain"
    return f"{used:,} of {room:,} tokens", "warn" if used > 0.9 * room else "plain"
