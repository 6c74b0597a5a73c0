"""How much memory training leaves to the desktop, set where one sees what it costs."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.ui.session import Session
from studio.ui.widgets import NumberEdit, label, row

GIB = 1024**3
LARGEST = 64.0


class ReserveEdit(QWidget):
    """“Leave N GB for my desktop”; every number typed holds at once."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.edit = NumberEdit("Leave for my desktop, GB", maximum=LARGEST, step=0.5)
        self.edit.setFixedWidth(52)
        self.edit.number_changed.connect(self._typed)
        name = label("Leave", "sub")
        name.setBuddy(self.edit)
        self.setLayout(row(name, self.edit, label("GB for my desktop", "sub"), None, spacing=4))
        session.settings_changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        self.edit.set_number(self._session.settings.reserve_bytes / GIB)

    def _typed(self, number: float | None) -> None:
        if number is None:
            return
        reserve = int(number * GIB)
        if reserve != self._session.settings.reserve_bytes:
            self._session.change_settings(reserve_bytes=reserve)
