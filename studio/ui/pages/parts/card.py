"""The settings' card of optional parts: what each brings, and whether it is there."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.core.parts import Part
from studio.library import parts
from studio.library.parts import State
from studio.ui import format as say
from studio.ui.pages.parts.dialog import InstallDialog
from studio.ui.session import Session
from studio.ui.widgets import Button, Card, Pill, clear, column, label, row

PILLS: dict[State, tuple[str, str]] = {
    "installed": ("Installed", "ok"),
    "missing": ("Not installed", "soft"),
    "broken": ("Needs mending", "warn"),
    "unavailable": ("Not for this machine", "soft"),
}


class PartsCard(Card):
    """A line for each part. What a page needs it offers by itself; here they can be had before."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=14)
        self._session = session
        self.buttons: dict[str, Button] = {}
        about = "Packages that some exports and checks need. The studio works without them."
        self._lines = column(spacing=14)
        self.add(label("Optional parts", "h2"), label(about, "sub", wrap=True), self._lines)

    def refresh(self) -> None:
        """Look again, off the window's thread."""
        self._session.background(_states, done=self._show)

    def _show(self, states: list[tuple[Part, State]]) -> None:
        self.buttons.clear()
        clear(self._lines)
        for part, state in states:
            self._lines.addWidget(self._line(part, state))

    def _line(self, part: Part, state: State) -> QWidget:
        title = part.title[:1].upper() + part.title[1:]
        head = row(label(title, "b"), Pill(*PILLS[state]), None, spacing=10)
        if state in ("missing", "broken"):
            size = say.size(part.size_on(parts.this_machine()) or 0)
            word = "Install" if state == "missing" else "Mend"
            button = Button(f"{word} ({size})", icon_name="download")
            button.setAccessibleName(f"{word} {part.title}")
            button.clicked.connect(lambda: self._install(part))
            self.buttons[part.name] = button
            head.addWidget(button)
        made = QWidget()
        needed = f"For: {', '.join(part.needed_for)}. {part.licence}."
        made.setLayout(
            column(head, label(part.brings, "sub", wrap=True), label(needed, "mute", wrap=True),
                   spacing=3)
        )  # fmt: skip
        return made

    def _install(self, part: Part) -> None:
        if InstallDialog(self._session, self.window(), [part]).exec():
            self.refresh()


def _states() -> list[tuple[Part, State]]:
    return [(part, parts.state(part)) for part in parts.every()]
