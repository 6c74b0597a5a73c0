"""The settings page: one card a subject."""

from __future__ import annotations

from PySide6.QtGui import QShowEvent

from studio.core.problem import Problem
from studio.ui.pages.parts import PartsCard
from studio.ui.pages.settings.card_row import CardRow
from studio.ui.pages.settings.doctor import DoctorCard
from studio.ui.pages.settings.folders import FoldersCard
from studio.ui.pages.settings.guard import GuardCard
from studio.ui.pages.settings.token import TokenCard
from studio.ui.session import Session
from studio.ui.widgets import (
    Card,
    Field,
    Heading,
    NumberEdit,
    Page,
    Segmented,
    Separator,
    SettingRow,
    label,
    row,
)

GIB = 1024**3
LARGEST_RESERVE = 64.0
THEMES = [("light", "Light"), ("dark", "Dark"), ("system", "System")]


class SettingsPage(Page):
    """What is set holds at once, and for every later start on this library."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.look = LookCard(session)
        self.guard = GuardCard(session)
        self.folders = FoldersCard(session)
        self.token = TokenCard(session)
        self.parts = PartsCard(session)
        self.doctor = DoctorCard(session)
        self.body.addWidget(Heading("Settings", "Changes apply at once."))
        for card in (
            self.look, self.guard, self.folders, self.token, self.parts, self.doctor,
        ):  # fmt: skip
            self.body.addWidget(card)
        self.body.addStretch(1)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.folders.measure()
        self.token.look_up()
        self.parts.refresh()
        self.doctor.check_once()


class LookCard(Card):
    """The theme, and what training leaves free on the card."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=16)
        self._session = session
        self.theme = Segmented("Theme", THEMES)
        self.theme.selected.connect(lambda chosen: session.change_settings(theme=chosen))
        self.reserve = NumberEdit(
            "Keep free on the graphics card", maximum=LARGEST_RESERVE, step=0.5
        )
        self.reserve.setFixedWidth(96)
        self.reserve.editingFinished.connect(self._save_reserve)
        self._field = Field(
            "Keep free on the graphics card (GB)",
            self.reserve,
            "Training leaves this much to the desktop and to what else draws on the screen.",
        )
        about_theme = "System follows the desktop, and is dark where the desktop has no say."
        self.add(label("Look and memory", "h2"), SettingRow("Theme", about_theme, self.theme))
        self.add(Separator(), row(self._field))
        self.cards = CardRow(session)
        self.add(self.cards)
        session.settings_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is set."""
        settings = self._session.settings
        self.theme.set_value(settings.theme)
        self.reserve.set_number(settings.reserve_bytes / GIB)

    def _save_reserve(self) -> None:
        number = self.reserve.number()
        if number is None:
            text = f"“{self.reserve.text()}” is no size from 0 to {LARGEST_RESERVE:.0f} GB."
            fix = "Write a number, for example 0.5."
            self._field.show_problems([Problem(field="reserve", text=text, fix=fix)])
            return
        self._field.show_problems([])
        reserve = int(number * GIB)
        if reserve != self._session.settings.reserve_bytes:
            self._session.change_settings(reserve_bytes=reserve)
