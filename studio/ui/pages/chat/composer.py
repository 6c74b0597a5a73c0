"""Where the next message is written: Enter sends, Shift+Enter begins a line, Escape stops."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit

from studio.ui.widgets import Button, column

_LINES = 7


class Composer(QFrame):
    """Emits `sent` with the text, and `stopped`; one button does what makes sense now."""

    sent = Signal(str)
    stopped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._busy = False
        self._usable = True
        self.edit = _Edit()
        self.edit.sent.connect(self._send)
        self.edit.stopped.connect(self._stop)
        self.edit.textChanged.connect(self._show_button)
        self.button = Button("Send", "primary", "send")
        self.button.clicked.connect(self._press)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(10)
        box.addWidget(self.edit, 1)
        box.addLayout(column(None, self.button, 4, spacing=0))
        self._show_button()

    def set_busy(self, busy: bool) -> None:
        """While busy the button stops the answer; writing goes on being possible."""
        self._busy = busy
        self._show_button()

    def set_usable(self, usable: bool) -> None:
        """Whether there is somebody to send to."""
        self._usable = usable
        self._show_button()

    def write(self, text: str) -> None:
        """Put a text there to be edited or sent."""
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)
        self.edit.setFocus()

    def _press(self) -> None:
        if self._busy:
            self._stop()
        else:
            self._send()

    def _send(self) -> None:
        text = self.edit.toPlainText().strip()
        if text and self._usable and not self._busy:
            self.edit.clear()
            self.sent.emit(text)

    def _stop(self) -> None:
        if self._busy:
            self.stopped.emit()

    def _show_button(self) -> None:
        if self._busy:
            self.button.set_kind("")
            self.button.set_label("Stop", "stop")
        else:
            self.button.set_kind("primary")
            self.button.set_label("Send", "send")
        ready = self._usable and bool(self.edit.toPlainText().strip())
        self.button.setEnabled(self._busy or ready)


class _Edit(QPlainTextEdit):
    sent = Signal()
    stopped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Message")
        self.setAccessibleDescription("Enter sends, Shift and Enter begin a new line")
        self.setPlaceholderText("Write a message")
        self.setTabChangesFocus(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.stopped.emit()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.height())

    def _fit(self) -> None:
        """As high as its text, up to a few lines."""
        lines = max(1, round(self.document().size().height()))
        policy = Qt.ScrollBarPolicy
        over = lines > _LINES
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAsNeeded if over else policy.ScrollBarAlwaysOff
        )
        self.setFixedHeight(self.fontMetrics().lineSpacing() * min(lines, _LINES) + 26)
