"""What the studio has to say: messages in the page, and short ones that pass by."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.ui.icons import IconLabel
from studio.ui.widgets.buttons import Button, IconButton
from studio.ui.widgets.layout import column, restyle, row
from studio.ui.widgets.text import label

_ICONS = {"err": "error", "warn": "alert", "info": "info", "ok": "check-circle"}


class InlineMessage(QFrame):
    """An error, warning or remark with what happened, what to do and, maybe, a button for it
    (`acted`) and one for something else (`declined`)."""

    acted = Signal()
    declined = Signal()
    closed = Signal()

    def __init__(self, closable: bool = False) -> None:
        super().__init__()
        self._icon = IconLabel("info", "sub", 18)
        self._title = label("", "b", wrap=True)
        self._text = label("", "sub", wrap=True, selectable=True)
        self._fix = label("", "", wrap=True, selectable=True)
        self.button = Button("")
        self.button.clicked.connect(self.acted)
        self.other = Button("")
        self.other.clicked.connect(self.declined)
        close = IconButton("x", "Dismiss")
        if not closable:
            close.hide()
        close.clicked.connect(self.dismiss)
        words = column(self._title, self._text, self._fix, spacing=3)
        box = QHBoxLayout(self)
        box.setContentsMargins(14, 12, 12, 12)
        box.setSpacing(12)
        box.addLayout(column(1, self._icon, None))
        box.addLayout(words, 1)
        box.addLayout(column(row(self.other, self.button, close, spacing=6), None))
        self.hide()

    def title(self) -> str:
        return self._title.text()

    def show_message(
        self,
        title: str,
        text: str = "",
        fix: str = "",
        tone: str = "err",
        action: str = "",
        other: str = "",
    ) -> None:
        """Show it; `tone` is err, warn, info or ok; `action` and `other` name the buttons."""
        self.setProperty("tone", None)
        restyle(self, "tone", tone)
        self._icon.set_icon(_ICONS[tone], "sub" if tone == "info" else tone)
        for part, words in ((self._title, title), (self._text, text), (self._fix, fix)):
            part.setText(words)
            part.setVisible(bool(words))
        for button, name in ((self.button, action), (self.other, other)):
            button.set_label(name)
            button.setVisible(bool(name))
        self.setAccessibleName(" ".join(part for part in (title, text, fix) if part))
        self.show()

    def show_error(self, error: StudioError, action: str = "") -> None:
        """Show what a StudioError says."""
        self.show_message(error.title, error.text, error.fix, "err", action)

    def dismiss(self) -> None:
        self.hide()
        self.closed.emit()


class Toast(QFrame):
    """A short remark at the foot of the window that goes away by itself."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._room = parent
        self.setProperty("tone", "info")
        self._icon = IconLabel("check-circle", "ok", 16)
        self._text = label("", "b")
        box = QHBoxLayout(self)
        box.setContentsMargins(14, 9, 16, 9)
        box.addWidget(self._icon)
        box.addWidget(self._text)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        parent.installEventFilter(self)
        self.hide()

    def say(self, text: str, tone: str = "ok", milliseconds: int = 4000) -> None:
        self._icon.set_icon(_ICONS[tone], tone if tone != "info" else "sub")
        self._text.setText(text)
        self.setAccessibleName(text)
        self._place()
        self.show()
        self.raise_()
        self._timer.start(milliseconds)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        self.adjustSize()
        room = self._room.rect()
        self.move((room.width() - self.width()) // 2, room.height() - self.height() - 76)
