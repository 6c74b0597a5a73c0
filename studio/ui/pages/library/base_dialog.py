"""Where is the base of this adapter? A folder, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.ui.icons import IconLabel
from studio.ui.widgets import Button, Field, InlineMessage, PathField, label, row

WIDTH = 540


class BaseDialog(QDialog):
    """Emits `chosen` with a folder, and whether it is to be taken though it is another model."""

    chosen = Signal(object, bool)

    def __init__(self, parent: QWidget, title: str, text: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Base model")
        self.setAccessibleName(title)
        self.setModal(True)
        self.setFixedWidth(WIDTH)
        self.problem = InlineMessage()
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
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        head = row(IconLabel("search", "accent_text", 20), spacing=10)
        head.addWidget(label(title, "h2", wrap=True), 1)
        box.addLayout(head)
        box.addWidget(label(text, "sub", wrap=True))
        box.addWidget(self.problem)
        help = "The folder with config.json in it. It is only read."
        box.addWidget(Field("Folder", self.path, help))
        box.addLayout(row(leave, None, self.anyway, self.use))
        self._typed()
        self._fit()

    def refuse(self, error: StudioError, anyway: bool = False) -> None:
        """Say why the folder won't do; `anyway` offers to take it nevertheless."""
        self.problem.show_error(error)
        self.anyway.setVisible(anyway)
        self.setEnabled(True)
        self._fit()

    def _choose(self, anyway: bool) -> None:
        if text := self.path.path():
            self.problem.hide()
            self._fit()
            self.setEnabled(False)
            self.chosen.emit(Path(text), anyway)

    def _fit(self) -> None:
        """A message of several lines needs more room than Qt gives it by itself."""
        box = self.layout()
        assert box is not None
        box.activate()
        self.setFixedHeight(box.totalHeightForWidth(WIDTH))

    def _typed(self) -> None:
        self.use.setEnabled(bool(self.path.path()))
        self.anyway.hide()
