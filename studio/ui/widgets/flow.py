"""A layout that fills lines like text."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Puts widgets side by side and begins a new line where the room ends."""

    def __init__(self, spacing: int = 8) -> None:
        super().__init__()
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)
        self._items: list[QLayoutItem] = []

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), move=False)

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize()
        for item in self._visible():
            size = size.expandedTo(item.minimumSize())
        return size

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._arrange(rect, move=True)

    def _visible(self) -> list[QLayoutItem]:
        return [item for item in self._items if not _hidden(item.widget())]

    def _arrange(self, rect: QRect, move: bool) -> int:
        """Place the items in `rect`; the height they take."""
        x, y, line = rect.x(), rect.y(), 0
        for item in self._visible():
            size = item.sizeHint()
            if x > rect.x() and x + size.width() > rect.right() + 1:
                x, y, line = rect.x(), y + line + self.spacing(), 0
            if move:
                item.setGeometry(QRect(QPoint(x, y), size))
            x, line = x + size.width() + self.spacing(), max(line, size.height())
        return y + line - rect.y()


def _hidden(widget: QWidget | None) -> bool:
    return widget is not None and widget.isHidden()


class AdaptiveGrid(QLayout):
    """Columns of equal width, as many as there is room for, `columns` at most."""

    def __init__(self, columns: int, narrowest: int, *widgets: QWidget, spacing: int = 12) -> None:
        """A column is never narrower than `narrowest` logical pixels, unless it is the only one."""
        super().__init__()
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)
        self._columns, self._narrowest = columns, narrowest
        self._items: list[QLayoutItem] = []
        for widget in widgets:
            self.addWidget(widget)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), move=False)

    def sizeHint(self) -> QSize:
        width = self._columns * self._narrowest
        return QSize(width, self.heightForWidth(width))

    def minimumSize(self) -> QSize:
        return QSize(min(self._narrowest, 120), 0)

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._arrange(rect, move=True)

    def columns_in(self, width: int) -> int:
        """How many columns fit into `width` pixels, without a last one standing alone."""
        fit = (width + self.spacing()) // (self._narrowest + self.spacing())
        columns = max(1, min(self._columns, fit))
        if len(self._items) <= self._columns:
            while len(self._items) % columns:
                columns -= 1
        return columns

    def _arrange(self, rect: QRect, move: bool) -> int:
        """Place the items in `rect`, rows of equal height; the height they take."""
        columns, gap = self.columns_in(rect.width()), self.spacing()
        wide = (rect.width() - gap * (columns - 1)) / columns
        shown = [item for item in self._items if not _hidden(item.widget())]
        y = rect.y()
        for start in range(0, len(shown), columns):
            line = shown[start : start + columns]
            height = max(_height(item, int(wide)) for item in line)
            for place, item in enumerate(line if move else ()):
                left = rect.x() + round(place * (wide + gap))
                item.setGeometry(QRect(left, y, round(wide), height))
            y += height + gap
        return max(0, y - gap - rect.y())


def _height(item: QLayoutItem, width: int) -> int:
    wanted = item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
    return max(wanted, item.minimumSize().height())
