"""A column that speaks as a mix has sliders: its next answer follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from studio.ui.pages.chat.sides import Sides
from studio.ui.session import Session

if TYPE_CHECKING:
    from studio.ui.pages.mix.popup import MixPopup


class Mixer(QObject):
    """Opens the sliders of a column, and puts what they make in its place."""

    def __init__(self, session: Session, sides: Sides, page: QWidget) -> None:
        super().__init__(page)
        self._session, self._sides, self._page = session, sides, page
        self.popup: MixPopup | None = None
        sides.mix_wanted.connect(self.open)

    def open(self, column: int, button: QWidget) -> None:
        """Show the sliders of a column under its button."""
        from studio.ui.pages.mix.popup import MixPopup

        self.popup = MixPopup(self._page, self._session, self._sides.sides()[column])
        self.popup.changed.connect(lambda folder: self._sides.put(column, folder))
        self.popup.open_under(button)
