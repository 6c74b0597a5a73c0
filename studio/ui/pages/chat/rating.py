"""What a person thinks of an answer: thumbs, and the answer as it should have been."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.core.own_sets import Stars
from studio.ui.icons import icon
from studio.ui.widgets import Button, ToolButton, row
from studio.ui.widgets.fitting_edit import FittingEdit


class Thumbs(QWidget):
    """Two thumbs, one of them on at most; pressing the one that is on takes it back."""

    rated = Signal(str)
    """A core.own_sets.Stars."""

    def __init__(self) -> None:
        super().__init__()
        self.up = _Thumb("thumb-up", "Good answer: collect it as a row")
        self.down = _Thumb("thumb-down", "Bad answer")
        self.up.clicked.connect(lambda on: self.rated.emit("up" if on else ""))
        self.down.clicked.connect(lambda on: self.rated.emit("down" if on else ""))
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addWidget(self.up)
        box.addWidget(self.down)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_rating(self, rating: Stars) -> None:
        """Show this one. No signal."""
        self.up.setChecked(rating == "up")
        self.down.setChecked(rating == "down")


class _Thumb(ToolButton):
    def __init__(self, icon_name: str, name: str) -> None:
        super().__init__(icon_name, name)
        self.setCheckable(True)
        self.setFixedSize(24, 24)

    def _draw_icon(self) -> None:
        self.setIcon(icon(self._icon_name, "mute", 16, on_token="accent_text"))


class Correction(QWidget):
    """The answer to edit: Ctrl+Enter takes it, Escape leaves it as it was."""

    taken = Signal(str)
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.edit = _Edit()
        self.take = Button("Take this answer", "primary", "check", "Ctrl+Enter")
        self.cancel = Button("Cancel", "ghost", tip="Escape")
        self.take.clicked.connect(self._take)
        self.cancel.clicked.connect(self.left)
        self.edit.taken.connect(self._take)
        self.edit.left.connect(self.left)
        self.edit.textChanged.connect(self._check)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 6, 0)
        box.setSpacing(8)
        box.addWidget(self.edit)
        box.addLayout(row(self.take, self.cancel, None, spacing=8))
        self.hide()

    def begin(self, text: str) -> None:
        """Show a text and let it be edited."""
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)
        self.show()
        self.edit.setFocus()

    def _take(self) -> None:
        text = self.edit.toPlainText().strip()
        if text:
            self.taken.emit(text)

    def _check(self) -> None:
        self.take.setEnabled(bool(self.edit.toPlainText().strip()))


class _Edit(FittingEdit):
    taken = Signal()
    left = Signal()

    def __init__(self) -> None:
        super().__init__("The answer as it should be")
        self.setAccessibleDescription("Control and Enter takes it, Escape leaves it as it was")

    def event(self, event: QEvent) -> bool:
        """Escape is this field's before it is the page's."""
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if escape and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.taken.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)
