"""GGUF files among those who answer: picked by hand, and the part that runs them installed."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from studio.library import gguf_files
from studio.ui.pages.chat.sides import Sides
from studio.ui.pages.parts.dialog import install
from studio.ui.session import Session


class Files(QObject):
    """Asks where there is something to ask."""

    def __init__(self, session: Session, sides: Sides, page: QWidget) -> None:
        super().__init__(page)
        self._session, self._sides, self._page = session, sides, page
        self._runnable = False
        sides.file_wanted.connect(self.pick)

    def usable(self, *sides: str) -> bool:
        """Whether all of these can speak; where llama.cpp isn't there it is offered, with its
        size."""
        if not self._runnable and any(map(gguf_files.names_file, sides)):
            self._runnable = install(self._session, self._page, [gguf_files.PART])
            return self._runnable
        return True

    def pick(self, column: int) -> None:
        """Let a file be picked for this column, or for the model (`Sides.MODEL`)."""
        kinds = f"GGUF files (*{gguf_files.SUFFIX})"
        file, _ = QFileDialog.getOpenFileName(
            self._page, "Talk with a GGUF file", str(Path.home()), kinds
        )
        if file:
            self._sides.put(column, str(Path(file)))
