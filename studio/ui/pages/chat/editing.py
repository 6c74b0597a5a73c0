"""A text of the conversation, edited in its place: keys take it or leave it as it was."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from studio.ui.widgets import Button
from studio.ui.widgets.fitting_edit import FittingEdit

_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class Editing(QWidget):
    """The field and its two buttons; whoever inherits lays them out. Hidden until `begin`."""

    taken = Signal(str)
    left = Signal()

    def __init__(self, edit: Entry, take: Button) -> None:
        super().__init__()
        self.edit, self.take = edit, take
        self.cancel = Button("Cancel", "ghost", tip="Escape")
        take.clicked.connect(self._take)
        self.cancel.clicked.connect(self.left)
        edit.taken.connect(self._take)
        edit.left.connect(self.left)
        edit.textChanged.connect(self._check)
        self.hide()

    def begin(self, text: str) -> None:
        """Show a text and let it be edited."""
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)
        self.show()
        self.edit.setFocus()

    def _take(self) -> None:
        if text := self.edit.toPlainText().strip():
            self.taken.emit(text)

    def _check(self) -> None:
        self.take.setEnabled(bool(self.edit.toPlainText().strip()))


class Entry(FittingEdit):
    """Enter takes the text, or Ctrl+Enter where lines are likely in it; Escape leaves it."""

    taken = Signal()
    left = Signal()

    def __init__(self, name: str, description: str, *, with_control: bool, least: int = 2) -> None:
        super().__init__(name, least)
        self._with_control = with_control
        self.setAccessibleDescription(description)

    def event(self, event: QEvent) -> bool:
        """Escape is this field's before it is the page's."""
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if escape and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _ENTER and self._takes(event):
            self.taken.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def _takes(self, event: QKeyEvent) -> bool:
        if self._with_control:
            return bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        return not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
