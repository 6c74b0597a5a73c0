"""The studio itself, started as its command does, with an ear for a test that asks what it shows.

    python -m tests.end_to_end.probe DESCRIPTOR [arguments of finetune-studio]

It answers each request on the connection with every control in view; it never acts on them.
"""

from __future__ import annotations

import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from studio.__main__ import main


def describe(widget: QWidget) -> dict[str, Any]:
    """What a person could tell of a control; the rectangle is its visible part on the screen."""
    seen = widget.visibleRegion().boundingRect()
    corner = widget.mapToGlobal(seen.topLeft() if not seen.isEmpty() else QPoint(0, 0))
    whole = widget.mapToGlobal(QPoint(0, 0))
    return {
        "kind": next(kind.__name__ for kind in KINDS if isinstance(widget, kind)),
        "type": type(widget).__name__,
        "name": widget.accessibleName(),
        "about": widget.accessibleDescription(),
        "text": _text(widget),
        "enabled": widget.isEnabled(),
        "checked": isinstance(widget, QAbstractButton) and widget.isChecked(),
        "focused": widget.hasFocus(),
        "seen": [corner.x(), corner.y(), seen.width(), seen.height()],
        "whole": [whole.x(), whole.y(), widget.width(), widget.height()],
    }


KINDS = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QTextEdit, QLabel, QWidget)


def _text(widget: QWidget) -> str:
    match widget:
        case QAbstractButton() | QLineEdit() | QLabel():
            return widget.text()
        case QComboBox():
            return widget.currentText()
        case QPlainTextEdit() | QTextEdit():
            return widget.toPlainText()
    return ""


def look() -> dict[str, Any]:
    """All controls that are shown and can be acted on: those of a modal dialog, or else all."""
    active, modal = QApplication.activeWindow(), QApplication.activeModalWidget()
    found = [
        describe(widget)
        for window in ([modal] if modal else QApplication.topLevelWidgets())
        if window.isVisible()
        for widget in [window, *window.findChildren(QWidget)]
        if widget.isVisible() and (widget.accessibleName() or _text(widget))
    ]
    return {"active": active.windowTitle() if active else "", "controls": found}


class Ear(QObject):
    """Hears requests on a thread, and answers what the window's thread sees."""

    asked = Signal(str)

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self.asked.connect(self._answer, Qt.ConnectionType.QueuedConnection)
        threading.Thread(target=self._listen, name="ear", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                self.asked.emit(self._connection.recv())
            except (EOFError, OSError, RuntimeError):
                return

    def _answer(self, request: str) -> None:
        if request.startswith("shot "):
            for number, window in enumerate(QApplication.topLevelWidgets()):
                if window.isVisible():
                    window.grab().save(request.removeprefix("shot ") + f"-{number}.png")
        self._connection.send(look())


if __name__ == "__main__":
    application = QApplication(["finetune-studio"])
    ear = Ear(Connection(int(sys.argv[1])))
    sys.exit(main(sys.argv[2:]))
