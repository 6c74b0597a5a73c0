"""Buttons: every one named for a screen reader and reached by Tab."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
)

from studio.ui.icons import icon
from studio.ui.theme import theme
from studio.ui.widgets.layout import restyle

_ICON_TOKENS = {"primary": "on", "danger": "err", "link": "accent_text"}
SEGMENT_PADDING = 15
"""Beside a segment's text, border included."""


class Pressable(QPushButton):
    """A button that Enter presses as Space does; Qt itself knows only Space."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.isAutoRepeat():
            self.click()
        else:
            super().keyPressEvent(event)


class Button(Pressable):
    """A push button of one kind: "" (plain), primary, danger, ghost, icon, link, seg or chip."""

    def __init__(self, text: str = "", kind: str = "", icon_name: str = "", tip: str = "") -> None:
        super().__init__(f"  {text}" if icon_name and text else text)
        self.setProperty("k", kind)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAutoDefault(False)
        self.setAccessibleName(text or tip)
        self.setToolTip(tip)
        self._icon_name = icon_name
        self._kind = kind
        if icon_name:
            self.setIconSize(QSize(16, 16))
            theme().changed.connect(self._draw_icon)
            self._draw_icon()

    def set_label(self, text: str, icon_name: str = "") -> None:
        """Change what the button says (and its icon), for the eye and the screen reader."""
        self._icon_name = icon_name or self._icon_name
        self.setText(f"  {text}" if self._icon_name and text else text)
        self.setAccessibleName(text or self.toolTip())
        if self._icon_name:
            self._draw_icon()

    def set_kind(self, kind: str) -> None:
        """Change the kind of button (its colours)."""
        self._kind = kind
        restyle(self, "k", kind)
        if self._icon_name:
            self._draw_icon()

    def _draw_icon(self) -> None:
        self.setIcon(icon(self._icon_name, _ICON_TOKENS.get(self._kind, "sub"), 16))


class IconButton(Button):
    """A small square button with only a picture; `name` is its tooltip and accessible name."""

    def __init__(self, icon_name: str, name: str) -> None:
        super().__init__("", "icon", icon_name, tip=name)
        self.setFixedSize(30, 30)


class ToolButton(IconButton):
    """A smaller one, for what can be done with a piece of text."""

    def __init__(self, icon_name: str, name: str) -> None:
        super().__init__(icon_name, name)
        self.setProperty("k", "tool")
        self.setFixedSize(24, 24)


class NavButton(Pressable):
    """One entry of the side bar; the tooltip names the window's shortcut for it."""

    def __init__(self, text: str, icon_name: str, shortcut: str = "") -> None:
        super().__init__(f"  {text}")
        self.setProperty("k", "nav")
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(text)
        self.setIconSize(QSize(18, 18))
        self._icon_name = icon_name
        if shortcut:
            native = QKeySequence(shortcut).toString(QKeySequence.SequenceFormat.NativeText)
            self.setToolTip(f"{text} ({native})")
        theme().changed.connect(self._draw_icon)
        self._draw_icon()

    def _draw_icon(self) -> None:
        self.setIcon(icon(self._icon_name, "sub", 18, on_token="accent_text"))


class _Segment(Button):
    """One choice, as wide as its text is in bold: it is drawn so once it is on."""

    def sizeHint(self) -> QSize:
        bold = QFont(self.font())
        bold.setWeight(QFont.Weight.DemiBold)
        width = QFontMetrics(bold).horizontalAdvance(self.text()) + 2 * SEGMENT_PADDING
        return super().sizeHint().expandedTo(QSize(width, 0))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()


class Segmented(QFrame):
    """A few choices in a row, one of them on; arrow keys move between them."""

    selected = Signal(str)

    def __init__(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        """`choices` are (value, text); none is on until `set_value`."""
        super().__init__()
        self.setProperty("card", "raised")
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        box = QHBoxLayout(self)
        box.setContentsMargins(3, 3, 3, 3)
        box.setSpacing(2)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, Button] = {}
        for value, text in choices:
            button = _Segment(text, "seg")
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, chosen=value: self.selected.emit(chosen))
            self._group.addButton(button)
            self._buttons[value] = button
            box.addWidget(button)

    def value(self) -> str:
        """The value that is on, or "" when none is."""
        return next((v for v, button in self._buttons.items() if button.isChecked()), "")

    def set_value(self, value: str) -> None:
        """Turn `value` on without a signal; an unknown value turns all off."""
        self._group.setExclusive(False)
        for each, button in self._buttons.items():
            button.setChecked(each == value)
        self._group.setExclusive(True)
        for button in self._buttons.values():  # Tab reaches the one that is on
            reached = button.isChecked() or not self.value()
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus if reached else Qt.FocusPolicy.NoFocus)

    def button(self, value: str) -> Button:
        return self._buttons[value]
