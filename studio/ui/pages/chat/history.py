"""The conversations kept, beside the one on screen: searched, opened, renamed and deleted."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from studio.core.chats import Entry
from studio.library import chats
from studio.ui.session import Session
from studio.ui.theme import sans, theme
from studio.ui.widgets import Button, LineEdit, column, label

WIDTH = 216
_SEARCH_MS = 180
_ROW, _ROW_WITH_TEXT = 46, 62
_DAY = 24 * 3600.0


class History(QWidget):
    """A search, and the conversations that it finds, the latest first."""

    opened = Signal(str)
    renamed = Signal(str)
    deleted = Signal(str)
    """Conversations by their ids; the two last are wishes."""
    fresh = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._current = ""
        self.new = Button("New chat", "", "plus", "Ctrl+N")
        self.new.clicked.connect(self.fresh)
        self.search = LineEdit("Search conversations", placeholder="Search", icon_name="search")
        self.search.setClearButtonEnabled(True)
        self.list = _List()
        self.list.setAccessibleName("Conversations")
        self.list.picked.connect(self.opened)
        self.list.renamed.connect(self.renamed)
        self.list.deleted.connect(self.deleted)
        self.none = label("", "mute", wrap=True)
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(_SEARCH_MS)
        self._wait.timeout.connect(self.look)
        self.search.textChanged.connect(lambda _: self._wait.start())
        self.setFixedWidth(WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        box = column(self.new, self.search, self.none, spacing=10)
        box.addWidget(self.list, 1)
        self.setLayout(box)

    def look(self) -> None:
        """Read what there is, in the background."""
        words = self.search.text()
        self._session.background(
            chats.listing, self._session.home, words,
            done=lambda found: self._found(words, found),
        )  # fmt: skip

    def show_current(self, id: str) -> None:
        """Mark the conversation that is on screen."""
        self._current = id
        self.list.mark(id)

    def title(self, id: str) -> str:
        """The title of a conversation in the list."""
        return self.list.title(id)

    def _found(self, words: str, found: list[Entry]) -> None:
        if words != self.search.text():
            return
        self.list.show_entries(found)
        self.list.mark(self._current)
        self.none.setText(
            "Nothing found." if words.strip() else "What you talk about is kept here."
        )
        self.none.setVisible(not found)


class _List(QListWidget):
    picked = Signal(str)
    renamed = Signal(str)
    deleted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setItemDelegate(_Look(self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self.itemClicked.connect(self._pick)

    def show_entries(self, found: Sequence[Entry]) -> None:
        """Show these; the place in the list stays."""
        kept = self.verticalScrollBar().value()
        self.clear()
        for entry in found:
            item = QListWidgetItem(entry.title)
            item.setData(Qt.ItemDataRole.UserRole, entry)
            item.setToolTip(entry.problem or entry.title)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.title}, {_when(entry)}")
            self.addItem(item)
        self.verticalScrollBar().setValue(kept)

    def mark(self, id: str) -> None:
        """Choose this one, or none."""
        self.setCurrentItem(next((i for i in self._items() if _entry(i).id == id), None))  # type: ignore[arg-type]

    def title(self, id: str) -> str:
        """The title of this one."""
        return next((_entry(i).title for i in self._items() if _entry(i).id == id), "")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        item, key = self.currentItem(), event.key()
        if item is None:
            super().keyPressEvent(event)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._pick(item)
        elif key == Qt.Key.Key_Delete:
            self.deleted.emit(_entry(item).id)
        elif key == Qt.Key.Key_F2:
            self.renamed.emit(_entry(item).id)
        else:
            super().keyPressEvent(event)

    def _pick(self, item: QListWidgetItem) -> None:
        self.picked.emit(_entry(item).id)

    def _items(self) -> list[QListWidgetItem]:
        return [self.item(place) for place in range(self.count())]


class _Look(QStyledItemDelegate):
    """A title, when it was, and where a search met its words; painted, so that many cost little."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        entry: Entry = index.data(Qt.ItemDataRole.UserRole)
        return QSize(100, _ROW_WITH_TEXT if entry.found else _ROW)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        entry: Entry = index.data(Qt.ItemDataRole.UserRole)
        area: QRect = option.rect.adjusted(0, 1, -4, -1)
        state = option.state
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        if chosen or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().color("accent_bg" if chosen else "hover"))
            painter.drawRoundedRect(area, 8, 8)
        inside = area.adjusted(10, 6, -8, -5)
        self._line(painter, inside, 0, entry.title, "accent_text" if chosen else "text", 13)
        about = f"{_when(entry)}  \N{MIDDLE DOT}  {entry.model_name}" if entry.model_name else ""
        self._line(painter, inside, 19, entry.problem or about or _when(entry), "mute", 11)
        if entry.found:
            self._line(painter, inside, 35, entry.found, "sub", 11)

    def _line(
        self, painter: QPainter, area: QRect, down: int, text: str, token: str, size: int
    ) -> None:
        painter.setFont(sans(size))
        painter.setPen(theme().color(token))
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        place = QRect(area.left(), area.top() + down, area.width(), size + 5)
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)


def _entry(item: QListWidgetItem) -> Entry:
    found: Entry = item.data(Qt.ItemDataRole.UserRole)
    return found


def _when(entry: Entry) -> str:
    """A time for today, a weekday for this week, else a date."""
    then, now = time.localtime(entry.changed_at), time.localtime()
    if not entry.changed_at:
        return ""
    if then[:3] == now[:3]:
        return time.strftime("%H:%M", then)
    recent = time.time() - entry.changed_at < 6 * _DAY
    return time.strftime("%a %H:%M" if recent else "%Y-%m-%d", then)
