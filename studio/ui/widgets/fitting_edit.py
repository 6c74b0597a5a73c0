"""A field for several lines that is as high as its text, within bounds."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QPlainTextEdit


class FittingEdit(QPlainTextEdit):
    """Grows and shrinks between `least` and `most` lines; Tab goes on to what follows."""

    def __init__(self, name: str, least: int = 2, most: int = 16) -> None:
        super().__init__()
        self._least, self._most = least, most
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        lines = max(self._least, round(self.document().size().height()))
        policy = Qt.ScrollBarPolicy
        over = lines > self._most
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAsNeeded if over else policy.ScrollBarAlwaysOff
        )
        lines = min(lines, self._most)
        self.setFixedHeight(self.fontMetrics().lineSpacing() * lines + 26)
