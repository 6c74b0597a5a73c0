"""A dialog of several faces: what is asked, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.ui.icons import IconLabel
from studio.ui.widgets.layout import Item, column, row
from studio.ui.widgets.messages import InlineMessage
from studio.ui.widgets.text import label


@dataclass(frozen=True)
class _Face:
    widget: QWidget
    focus: Callable[[], QWidget]
    width: int
    height: int


class FacesDialog(QDialog):
    """Shows one face at a time below its title and what went wrong, as large as that face needs."""

    def __init__(self, parent: QWidget | None, icon_name: str, title: str, window: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(window)
        self.setAccessibleName(title)
        self.title = label(title, "h2", wrap=True)
        self.problem = InlineMessage()
        self.face = 0
        self._faces: list[_Face] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(24, 22, 24, 20)
        self._box.setSpacing(14)
        head = row(IconLabel(icon_name, "accent_text", 20), spacing=10)
        head.addWidget(self.title, 1)
        self._box.addLayout(head)
        self._box.addWidget(self.problem)

    def add_face(
        self, *items: Item, focus: Callable[[], QWidget], width: int, height: int = 0
    ) -> None:
        """One more face, a column of these. `focus` has the keyboard when it comes up; without a
        height it is as high as what stands in it."""
        made = QWidget()
        made.setLayout(column(*items, spacing=14))
        made.setVisible(not self._faces)
        self._faces.append(_Face(made, focus, width, height))
        self._box.addWidget(made, 1)

    def show_face(self, place: int) -> None:
        """Show this one, with the same centre as the one before."""
        self.face = place
        for at, each in enumerate(self._faces):
            each.widget.setVisible(at == place)
        self._fit()
        self._faces[place].focus().setFocus(Qt.FocusReason.OtherFocusReason)

    def refuse(self, error: StudioError) -> None:
        """Say what went wrong, above the first face."""
        self.problem.show_error(error)
        self.show_face(0)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.show_face(self.face)

    def _fit(self) -> None:
        before, face = self.geometry().center(), self._faces[self.face]
        self._box.activate()
        self.setFixedSize(face.width, face.height or self._box.totalHeightForWidth(face.width))
        if self.isVisible():
            now = self.geometry()
            now.moveCenter(before)
            self.setGeometry(now)
