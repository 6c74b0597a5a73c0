"""A place to drop files on, or to press for the file dialog."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from studio.ui.icons import IconLabel
from studio.ui.widgets.inputs import dropped_paths
from studio.ui.widgets.layout import restyle
from studio.ui.widgets.text import ElidedLabel, label


class DropZone(QFrame):
    """Emits `dropped` with the paths, or `pressed` when clicked (Space and Enter do the same)."""

    dropped = Signal(list)
    pressed = Signal()

    def __init__(
        self, title: str, text: str, icon_name: str = "upload", compact: bool = False
    ) -> None:
        super().__init__()
        self.setProperty("card", "drop")
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)
        center = Qt.AlignmentFlag.AlignCenter
        picture = IconLabel(icon_name, "accent_text", 18 if compact else 26)
        box = QHBoxLayout(self) if compact else QVBoxLayout(self)
        box.setContentsMargins(*((14, 10, 14, 10) if compact else (20, 26, 20, 26)))
        box.setSpacing(10 if compact else 6)
        if compact:
            box.addWidget(picture)
            box.addWidget(label(title, "b"))
            box.addWidget(ElidedLabel(text, "mute", Qt.TextElideMode.ElideRight), 1)
            return
        words = label(text, "mute", wrap=True)
        words.setAlignment(center)
        box.addWidget(picture, 0, center)
        box.addSpacing(4)
        box.addWidget(label(title, "b"), 0, center)
        box.addWidget(words)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_paths(event):
            event.acceptProposedAction()
            restyle(self, "over", "true")

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        restyle(self, "over", "false")

    def dropEvent(self, event: QDropEvent) -> None:
        restyle(self, "over", "false")
        paths: list[Path] = dropped_paths(event)
        if paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.rect().contains(event.position().toPoint()):
            self.pressed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.pressed.emit()
        else:
            super().keyPressEvent(event)
