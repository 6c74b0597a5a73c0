"""Where is the base of this adapter? A folder, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.core.errors import StudioError
from studio.ui.widgets import Button, FacesDialog, Field, PathField, label, row

WIDTH = 540


class BaseDialog(FacesDialog):
    """Emits `chosen` with a folder, and whether it is to be taken though it is another model."""

    chosen = Signal(object, bool)

    def __init__(self, parent: QWidget, title: str, text: str) -> None:
        super().__init__(parent, "search", title, "Base model")
        self.setModal(True)
        self.path = PathField("Folder of the base model", folder=True)
        self.use = Button("Use this folder", "primary")
        self.anyway = Button("Use it anyway", "", "", "It becomes this adapter's base")
        self.anyway.hide()
        leave = Button("Cancel")
        leave.clicked.connect(self.reject)
        self.use.clicked.connect(lambda: self._choose(False))
        self.anyway.clicked.connect(lambda: self._choose(True))
        self.path.edit.returnPressed.connect(lambda: self._choose(False))
        self.path.edit.textChanged.connect(self._typed)
        help = "The folder with config.json in it. It is only read."
        self.add_face(
            label(text, "sub", wrap=True), Field("Folder", self.path, help),
            row(leave, None, self.anyway, self.use), focus=lambda: self.path.edit, width=WIDTH,
        )  # fmt: skip
        self._typed()

    def refuse(self, error: StudioError, anyway: bool = False) -> None:
        """Say why the folder won't do; `anyway` offers to take it nevertheless."""
        self.anyway.setVisible(anyway)
        self.setEnabled(True)
        super().refuse(error)

    def _choose(self, anyway: bool) -> None:
        if text := self.path.path():
            self.problem.hide()
            self.setEnabled(False)
            self.chosen.emit(Path(text), anyway)

    def _typed(self) -> None:
        self.use.setEnabled(bool(self.path.path()))
        self.anyway.hide()
