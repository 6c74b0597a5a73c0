"""How many rows the rated answers make, and the way to them."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.core.own_sets import Rating
from studio.library import own_datasets, ratings
from studio.ui.pages.datasets import RowEditor
from studio.ui.session import Session
from studio.ui.widgets import Button


class Collected(Button):
    """“3 rows collected”, a link to them; not there while there are none."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__("", "link", tip="Show the rows made of the answers that you rated")
        self._session, self._page = session, parent
        self.clicked.connect(self._open)
        self.hide()

    def look(self) -> None:
        """Count what is on the disk."""
        self._session.write(ratings.collected, self._session.home, done=self._count)

    def keep(self, rating: Rating) -> None:
        """Write down what is thought of an answer, in the order that it was thought."""
        self._session.write(ratings.rate, self._session.home, rating, done=self._count)

    def _count(self, rows: int) -> None:
        self.set_label(f"{rows} row{'s' if rows != 1 else ''} collected")
        self.setVisible(bool(rows))

    def _open(self) -> None:
        RowEditor(self._session, own_datasets.CHATS, self._page).open()
