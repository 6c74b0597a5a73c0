"""What the library's buttons for exports do: open the dialogs, and say how an export ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from studio.core.errors import StudioError
from studio.library.adapters import AdapterFacts
from studio.ui.pages.library.export.dialog import ExportDialog
from studio.ui.pages.library.export.exporting import Exporting
from studio.ui.pages.library.export.history import ExportsDialog
from studio.ui.session import Session
from studio.ui.widgets import InlineMessage


class ExportButtons(QObject):
    """Acts on the adapter that `chosen` returns. A dialog that is closed leaves its job at work."""

    def __init__(
        self, page: QWidget, session: Session, chosen: Callable[[], AdapterFacts | None],
        message: InlineMessage,
    ) -> None:  # fmt: skip
        super().__init__(page)
        self._page, self._session = page, session
        self._adapter, self._message = chosen, message
        self.dialog: ExportDialog | None = None
        self.history: ExportsDialog | None = None

    def ask(self) -> None:
        """Open the dialog for the adapter in view."""
        facts = self._adapter()
        if facts is None or facts.problem:
            return
        exporting = Exporting(self._session, facts, self)
        exporting.finished.connect(lambda result: self._exported(facts, result))
        exporting.failed.connect(self._failed)
        self.dialog = ExportDialog(self._page, self._session, exporting)
        self.dialog.finished.connect(self._closed)
        self.dialog.open()

    def show_all(self) -> None:
        """Open the list of the adapter's exports."""
        facts = self._adapter()
        if facts is None:
            return
        self.history = ExportsDialog(self._page, self._session, facts)
        self.history.finished.connect(self._history_closed)
        self.history.open()

    def _exported(self, facts: AdapterFacts, result: dict[str, Any]) -> None:
        self._session.library_changed.emit()
        self._session.models_changed.emit()
        if self.dialog is None:
            failed = (result.get("passport") or {}).get("grade") == "fail"
            word = "failed its check" if failed else "is done"
            tone = "warn" if failed else "ok"
            self._session.said.emit(f"The export of {facts.name} {word}", tone)

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
