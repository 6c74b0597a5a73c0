"""Surfaces: cards, separators, number tiles and the page with nothing on it yet."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from studio.ui.icons import IconLabel
from studio.ui.widgets.buttons import Button
from studio.ui.widgets.layout import Item, column, row
from studio.ui.widgets.text import ElidedLabel, label


class Card(QFrame):
    """A bordered surface with a column (`body`) in it; kind is card, raised or strip."""

    def __init__(self, kind: str = "card", margin: int = 20, spacing: int = 12) -> None:
        super().__init__()
        self.setProperty("card", kind)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(margin, margin, margin, margin)
        self.body.setSpacing(spacing)

    def add(self, *items: Item) -> None:
        """Append widgets, layouts, pixels (int) or a stretch (None)."""
        for item in items:
            if item is None:
                self.body.addStretch(1)
            elif isinstance(item, int):
                self.body.addSpacing(item)
            elif isinstance(item, QWidget):
                self.body.addWidget(item)
            else:
                self.body.addLayout(item)


class Separator(QFrame):
    """A hair line across a card."""

    def __init__(self, direction: str = "h") -> None:
        super().__init__()
        self.setProperty("sep", direction)


class StatTile(Card):
    """A number with a name above and a remark below."""

    def __init__(self, title: str, value: str = "\N{EN DASH}", remark: str = "") -> None:
        super().__init__(margin=16, spacing=3)
        self._title = label(title, "mute")
        self._value = ElidedLabel(value, "num", Qt.TextElideMode.ElideRight)
        self._remark = label(remark, "mute", wrap=True)
        self.add(self._title, self._value, self._remark, None)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.show_value(value, remark)

    def show_value(self, value: str, remark: str = "", tone: str = "mute") -> None:
        """Show a number and a remark; `tone` is the remark's kind of text (mute, ok, warn, err)."""
        self._value.setText(value)
        self._remark.setText(remark)
        if self._remark.property("t") != tone:
            self._remark.setProperty("t", tone)
            self._remark.style().polish(self._remark)
        self.setAccessibleName(f"{self._title.text()}: {value}. {remark}")


class EmptyState(QWidget):
    """What a page shows while it has nothing: a picture, a sentence and what to do."""

    def __init__(self, icon_name: str, title: str, text: str, action: str = "") -> None:
        super().__init__()
        center = Qt.AlignmentFlag.AlignCenter
        box = column(None, spacing=10)
        box.addWidget(IconLabel(icon_name, "mute", 36), 0, center)
        self.title = label(title, "h2")
        self.text = label(text, "sub", wrap=True)
        self.text.setAlignment(center)
        self.text.setFixedWidth(460)
        box.addWidget(self.title, 0, center)
        box.addLayout(row(None, self.text, None))  # an aligned item would get one line's height
        self.button = Button(action, "primary")
        if not action:
            self.button.hide()
        box.addSpacing(6)
        box.addLayout(row(None, self.button, None))
        box.addStretch(1)
        self.setLayout(box)
