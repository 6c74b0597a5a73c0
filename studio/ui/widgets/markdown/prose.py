"""Everything of a Markdown text but fenced code, as high as it is long."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import (
    QFocusEvent,
    QGuiApplication,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlock,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser

from studio.ui.theme import sans, theme
from studio.ui.widgets.markdown.breaks import with_breaks
from studio.ui.widgets.markdown.dress import dress
from studio.ui.widgets.markdown.links import ask_about

_FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub
_FEATURES |= QTextDocument.MarkdownFeature.MarkdownNoHTML
_INDENT = 22
_BAR_WIDTH = 3


class Sealed(QTextDocument):
    """A document that gets nothing from anywhere: no image, no style sheet, no file."""

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        return None


class Prose(QTextBrowser):
    """Selectable text; a link is opened only after a question, and nothing is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self._source = ""
        self.setProperty("bare", "true")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.setSearchPaths([])
        self.setUndoRedoEnabled(False)
        off = Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.setVerticalScrollBarPolicy(off)
        self.setHorizontalScrollBarPolicy(off)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self.anchorClicked.connect(lambda url: ask_about(self, url))
        self.highlighted.connect(lambda url: self.setToolTip(url.toString()))
        theme().changed.connect(self._draw)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        return None

    def show_text(self, text: str) -> None:
        """Show this Markdown; what is selected stays so, as far as it is still there."""
        if text == self._source:
            return
        self._source = text
        self._draw()

    def _draw(self) -> None:
        cursor = self.textCursor()
        anchor, place = cursor.anchor(), cursor.position()
        document, linked = self._made()
        self.setDocument(document)  # deletes the one before
        document.documentLayout().documentSizeChanged.connect(lambda _: self._fit())
        if anchor != place:
            cursor = QTextCursor(document)
            last = document.characterCount() - 1
            cursor.setPosition(min(anchor, last))
            cursor.setPosition(min(place, last), QTextCursor.MoveMode.KeepAnchor)
            self.setTextCursor(cursor)
        policy = Qt.FocusPolicy
        self.setFocusPolicy(policy.StrongFocus if linked else policy.ClickFocus)
        self.setAccessibleName(document.toPlainText()[:200])
        self._fit()

    def _made(self) -> tuple[QTextDocument, bool]:
        """A new document of the text, and whether there is a link in it. It is dressed, and its
        images are gone, before anything lays it out."""
        document = Sealed(self)
        document.setUndoRedoEnabled(False)
        document.setDocumentMargin(0)
        document.setIndentWidth(_INDENT)
        document.setDefaultFont(sans(13))
        option = document.defaultTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        document.setDefaultTextOption(option)
        document.setMarkdown(with_breaks(self._source), _FEATURES)
        return document, dress(document, theme().tokens)

    def _fit(self) -> None:
        height = math.ceil(self.document().size().height())
        if height != self.height():
            self.setFixedHeight(max(1, height))

    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the conversation scrolls, not its parts

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason and not _copying():
            cursor = self.textCursor()
            cursor.clearSelection()
            self.setTextCursor(cursor)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        layout = self.document().documentLayout()
        block = self.document().begin()
        while block.isValid():
            if _quoted(block):
                area = layout.blockBoundingRect(block)
                painter.fillRect(
                    0, round(area.top()), _BAR_WIDTH, round(area.height()), theme().color("line2")
                )
            block = block.next()
        painter.end()


def _quoted(block: QTextBlock) -> bool:
    return bool(block.blockFormat().intProperty(QTextFormat.Property.BlockQuoteLevel.value))


def _copying() -> bool:
    return QGuiApplication.focusWindow() is None
