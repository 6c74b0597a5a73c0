"""What the library does about exports: open the dialogs, and say how an export ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from studio.core.errors import StudioError
from studio.library import adapters
from studio.library.adapters import AdapterFacts
from studio.ui.pages.library.export.dialog import ExportDialog
from studio.ui.pages.library.export.exporting import Exporting
from studio.ui.pages.library.export.history import ExportsDialog
from studio.ui.session import Session
from studio.ui.widgets import InlineMessage


class Exports(QObject):
    """Opens on the session's `open_export`. A dialog that is closed leaves its job at work."""

    def __init__(self, page: QWidget, session: Session, message: InlineMessage) -> None:
        super().__init__(page)
        self._page, self._session, self._message = page, session, message
        self.dialog: ExportDialog | None = None
        self.history: ExportsDialog | None = None
        session.open_export.connect(self._open)

    def _open(self, folder: str, only: str) -> None:
        self._session.background(
            adapters.facts, Path(folder), done=lambda facts: self.ask(facts, only),
            failed=self._message.show_error,
        )  # fmt: skip

    def ask(self, facts: AdapterFacts, only: str = "") -> None:
        """Open the dialog for an adapter: of every format, or of one alone."""
        exporting = Exporting(self._session, facts, self)
        exporting.finished.connect(lambda result: self._exported(exporting, result))
        exporting.failed.connect(self._failed)
        self.dialog = ExportDialog(self._page, self._session, exporting, only)
        self.dialog.so_far.clicked.connect(lambda: self.show_all(facts))
        self.dialog.finished.connect(self._closed)
        self.dialog.open()

    def show_all(self, facts: AdapterFacts, wanted: str = "") -> None:
        """Open the list of what was made of an adapter, at the one in the folder `wanted`."""
        self.history = ExportsDialog(self.dialog or self._page, self._session, facts, wanted)
        self.history.finished.connect(self._history_closed)
        self.history.open()

    def _exported(self, exporting: Exporting, result: dict[str, Any]) -> None:
        self._session.library_changed.emit()
        self._session.models_changed.emit()
        if self.dialog is None:
            made = exporting.made(result)
            word = "failed its check" if made.grade == "fail" else "is done"
            text = f"{made.name} as {Path(made.out).name} {word}"
            self._session.said.emit(text, "warn" if made.grade == "fail" else "ok")

    def _failed(self, error: StudioError) -> None:
        if self.dialog is None:
            self._message.show_error(error)

    def _closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _history_closed(self) -> None:
        if self.history is not None:
            self.history.deleteLater()
            self.history = None
