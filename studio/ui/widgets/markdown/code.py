"""Fenced code: its language, a button that copies it, and lines that don't break."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QTextCursor, QWheelEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy

from studio.ui.theme import mono
from studio.ui.widgets.buttons import Button
from studio.ui.widgets.layout import column, row
from studio.ui.widgets.markdown.colouring import Colouring
from studio.ui.widgets.text import label

_COPIED_MS = 1600


class Code(QFrame):
    """One block of code; as it grows only what is new is laid out."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("card", "code")
        self.language = label("", "mute")
        self.copy = Button("Copy", "tiny", "copy", "Copy this code")
        self.copy.clicked.connect(self._copy)
        self._back = QTimer(self)
        self._back.setSingleShot(True)
        self._back.setInterval(_COPIED_MS)
        self._back.timeout.connect(lambda: self.copy.set_label("Copy", "copy"))
        self.lines = _Lines()
        self._colouring = Colouring(self.lines.document())
        head = row(self.language, None, self.copy, spacing=8)
        head.setContentsMargins(12, 3, 5, 0)
        body = row(self.lines)
        body.setContentsMargins(12, 0, 6, 8)
        self.setLayout(column(head, body, spacing=2))

    def show_code(self, text: str, language: str) -> None:
        """Show this code."""
        self.language.setText(language or "code")
        self._colouring.set_language(language)
        self.lines.show_text(text)
        self.lines.setAccessibleName(f"Code, {language}" if language else "Code")

    def text(self) -> str:
        """The code alone."""
        return self.lines.toPlainText()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text())
        self.copy.set_label("Copied", "check")
        self._back.start()


class _Lines(QPlainTextEdit):
    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setProperty("bare", "true")
        self.setFont(mono(12))
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUndoRedoEnabled(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setTabChangesFocus(True)
        self.document().setDocumentMargin(2)
        flags = Qt.TextInteractionFlag
        self.setTextInteractionFlags(flags.TextSelectableByMouse | flags.TextSelectableByKeyboard)
        self.horizontalScrollBar().rangeChanged.connect(lambda *_: self._fit())
        self._text = ""
        self._fit()

    def show_text(self, text: str) -> None:
        """Put this text there, by its new end alone where it has grown."""
        if text == self._text:
            return
        if self._text and text.startswith(self._text):
            cursor = QTextCursor(self.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(self._text) :])
        else:
            self.setPlainText(text)
        self._text = text
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.angleDelta().x() or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            super().wheelEvent(event)
        else:
            event.ignore()  # the conversation scrolls up and down, not its parts

    def _fit(self) -> None:
        bar = self.horizontalScrollBar()
        room = bar.sizeHint().height() if bar.maximum() > 0 else 0
        lines = self.document().blockCount()
        height = lines * self.fontMetrics().lineSpacing() + 6 + room
        if height != self.height():
            self.setFixedHeight(height)
