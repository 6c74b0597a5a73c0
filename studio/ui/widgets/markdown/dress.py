"""The studio's look put onto a document that Qt made of Markdown."""

from __future__ import annotations

from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextTable,
)

from studio.ui.theme import MONO, Tokens
from studio.ui.widgets.markdown.breaks import MARK

_HEADINGS = {1: (19, 16), 2: (17, 14), 3: (15, 12)}
"""Pixels of a heading's letters, and above it, by its level."""
_SMALL_HEADING = (13, 10)
_LINE_HEIGHT = 138.0
_PARAGRAPH, _LIST_ITEM = 9.0, 4.0
_PROPERTY = QTextFormat.Property


def dress(document: QTextDocument, tokens: Tokens) -> bool:
    """Give every block, table and word its look; whether there is any link in it.

    Images become their names. The document must not have been laid out before: Qt looks for an
    image's file, on the network too, when it does that, whatever `loadResource` answers.
    """
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    linked = False
    block = document.begin()
    while block.isValid():
        _block(document, block, tokens)
        linked = _words(document, block, tokens) or linked
        block = block.next()
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            _table(frame, tokens)
    cursor.endEditBlock()
    return linked


def _block(document: QTextDocument, block: QTextBlock, tokens: Tokens) -> None:
    now = block.blockFormat()
    look = QTextBlockFormat()
    look.setLineHeight(_LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    goes_on = _without_mark(block)
    first, last = not block.previous().isValid(), not block.next().isValid()
    in_list = block.textList() is not None
    below = _LIST_ITEM if in_list and block.next().textList() is not None else _PARAGRAPH
    above = 0.0
    if level := now.headingLevel():
        above, below = float(_HEADINGS.get(level, _SMALL_HEADING)[1]), 5.0
    if QTextCursor(block).currentTable() is not None:
        above = below = 0.0
        look.setLineHeight(100.0, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    if now.hasProperty(_PROPERTY.BlockTrailingHorizontalRulerWidth.value):
        look.setBackground(QBrush(QColor(tokens.line2)))
    look.setTopMargin(0.0 if first else above)
    look.setBottomMargin(0.0 if last else below)
    if goes_on:
        look.setBottomMargin(0.0)
    if quoted := now.intProperty(_PROPERTY.BlockQuoteLevel.value):
        look.setLeftMargin(14.0 * quoted)
        look.setRightMargin(0.0)
    if _is_code(now):
        look.setBackground(QBrush(QColor(tokens.raised)))
        look.setBottomMargin(0.0 if last or _is_code(block.next().blockFormat()) else below)
    QTextCursor(block).mergeBlockFormat(look)


def _without_mark(block: QTextBlock) -> bool:
    """Take out the mark of a line that goes on below; whether there was one."""
    if not block.text().endswith(MARK):
        return False
    cursor = QTextCursor(block)
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
    cursor.deletePreviousChar()
    return True


def _words(document: QTextDocument, block: QTextBlock, tokens: Tokens) -> bool:
    """Dress the runs of letters of a block; whether a link is among them."""
    now, linked = block.blockFormat(), False
    runs = []
    walk = block.begin()
    while not walk.atEnd():
        fragment = walk.fragment()
        if fragment.isValid():
            runs.append((fragment.position(), fragment.length(), fragment.charFormat()))
        walk += 1
    for begin, length, said in reversed(runs):
        cursor = QTextCursor(document)
        cursor.setPosition(begin)
        cursor.setPosition(begin + length, QTextCursor.MoveMode.KeepAnchor)
        if said.isImageFormat():
            _name_image(cursor, said, tokens)
            continue
        linked = linked or said.isAnchor()
        cursor.setCharFormat(_letters(now, said, tokens))
    return linked


def _letters(block: QTextBlockFormat, said: QTextCharFormat, tokens: Tokens) -> QTextCharFormat:
    look = QTextCharFormat(said)
    if level := block.headingLevel():
        look.clearProperty(_PROPERTY.FontSizeAdjustment.value)
        look.setProperty(_PROPERTY.FontPixelSize.value, _HEADINGS.get(level, _SMALL_HEADING)[0])
        look.setFontWeight(QFont.Weight.DemiBold)
    elif said.fontWeight() > QFont.Weight.Medium:
        look.setFontWeight(QFont.Weight.DemiBold)
    if said.fontFixedPitch() or _is_code(block):
        look.setFontFamilies(MONO)
        look.setProperty(_PROPERTY.FontPixelSize.value, 12)
        look.setBackground(QBrush(QColor(tokens.raised)))
    if said.isAnchor():
        look.setForeground(QBrush(QColor(tokens.accent_text)))
        look.setFontUnderline(True)
    elif block.intProperty(_PROPERTY.BlockQuoteLevel.value):
        look.setForeground(QBrush(QColor(tokens.sub)))
    else:
        look.setForeground(QBrush(QColor(tokens.text)))
    return look


def _name_image(cursor: QTextCursor, said: QTextCharFormat, tokens: Tokens) -> None:
    image = said.toImageFormat()
    alternative = str(image.property(_PROPERTY.ImageAltText.value) or "")
    look = QTextCharFormat()
    look.setForeground(QBrush(QColor(tokens.mute)))
    cursor.insertText(f"[image: {alternative or image.name()}]", look)


def _table(table: QTextTable, tokens: Tokens) -> None:
    look = table.format()
    look.setBorder(1)
    look.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    look.setBorderBrush(QBrush(QColor(tokens.line2)))
    look.setBorderCollapse(True)
    look.setCellPadding(6)
    look.setCellSpacing(0)
    look.setTopMargin(8)
    look.setBottomMargin(_PARAGRAPH + 4)
    table.setFormat(look)
    for column in range(table.columns()):
        cell = table.cellAt(0, column)
        head = cell.format()
        head.setBackground(QBrush(QColor(tokens.raised)))
        head.setFontWeight(QFont.Weight.DemiBold)
        cell.setFormat(head)


def _is_code(block: QTextBlockFormat) -> bool:
    return block.hasProperty(_PROPERTY.BlockCodeFence.value) or block.nonBreakableLines()
