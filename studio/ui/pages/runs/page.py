"""The Runs page: the list, and the run that was opened from it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from studio.ui.pages.runs.list_view import ListView
from studio.ui.pages.runs.run_view import RunView
from studio.ui.session import Session


class RunsPage(QWidget):
    """Shows the list first; `open_run` shows one run until the way back is clicked."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.list = ListView(session)
        self.run = RunView(session)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.list)
        self._stack.addWidget(self.run)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._stack)
        self.list.opened.connect(self.open_run)
        self.run.left.connect(self.show_list)
        self.run.controller.changed.connect(self.list.reload)

    @property
    def shown_run(self) -> str:
        """The name of the run in view; "" while the list is."""
        return self.run.folder.name if self.run.folder else ""

    def open_run(self, folder: str) -> None:
        """Show this run's page, live or from its log."""
        self.run.open(Path(folder))
        self._stack.setCurrentWidget(self.run)
        self._stack.setFocus()  # or else the first button would show a focus ring

    def show_list(self) -> None:
        self.run.close_run()
        self._stack.setCurrentWidget(self.list)
        self._stack.setFocus()
        self.list.reload()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.list.reload()
