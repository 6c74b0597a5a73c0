"""Editors: text, numbers, choices and paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QLineEdit,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from studio.ui import format as say
from studio.ui.icons import icon, pixmap
from studio.ui.theme import theme
from studio.ui.widgets.buttons import Button
from studio.ui.widgets.layout import restyle, row


class LineEdit(QLineEdit):
    """One line of text."""

    def __init__(
        self, name: str, text: str = "", placeholder: str = "", icon_name: str = ""
    ) -> None:
        super().__init__(text)
        self.setAccessibleName(name)
        self.setPlaceholderText(placeholder)
        self._icon_name = icon_name
        if icon_name:
            leading = self.ActionPosition.LeadingPosition
            self._sign = self.addAction(icon(icon_name, "mute", 16), leading)
            self.setTextMargins(-8, 0, 0, 0)  # Qt keeps the padding between icon and text too
            theme().changed.connect(self._draw_icon)

    def _draw_icon(self) -> None:
        self._sign.setIcon(icon(self._icon_name, "mute", 16))


class NumberEdit(QLineEdit):
    """A number in a line of text; Up and Down step it, anything else typed is kept and invalid.

    An empty text stands for `empty` (shown as the placeholder) where one is given.
    """

    number_changed = Signal(object)

    def __init__(
        self,
        name: str,
        *,
        whole: bool = False,
        minimum: float = 0.0,
        maximum: float = math.inf,
        step: float = 1.0,
        factor: float = 0.0,
        empty: float | None = None,
        placeholder: str = "",
    ) -> None:
        """`step` is added by Up; a `factor` above 1 multiplies instead (learning rates)."""
        super().__init__()
        self.setAccessibleName(name)
        self.setPlaceholderText(placeholder)
        self._whole, self._minimum, self._maximum = whole, minimum, maximum
        self._step, self._factor, self._empty = step, factor, empty
        self.textEdited.connect(self._edited)

    def number(self) -> float | int | None:
        """The number as typed, or None where the text is none or out of its range."""
        text = self.text().strip().replace(",", "").replace("\N{THIN SPACE}", "")
        if not text:
            return self._empty
        try:
            value = int(text) if self._whole else float(text)
        except ValueError:
            return None
        return value if self._minimum <= value <= self._maximum and math.isfinite(value) else None

    def set_number(self, value: float) -> None:
        """Show `value` unless the text already means it (so typing is never rewritten)."""
        if self.number() == value and (self.text() or value == self._empty):
            return
        self.setText("" if value == self._empty else self._format(value))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._step_by(1 if event.key() == Qt.Key.Key_Up else -1)
        else:
            super().keyPressEvent(event)

    def _step_by(self, sign: int) -> None:
        value = self.number()
        if value is None:
            return
        stepped = value * self._factor**sign if self._factor > 1 else value + sign * self._step
        self.setText(self._format(min(self._maximum, max(self._minimum, stepped))))
        self._edited()

    def _format(self, value: float) -> str:
        if self._whole:
            return str(int(value))
        return say.rate(value)

    def _edited(self) -> None:
        number = self.number()
        restyle(self, "problem", "" if number is not None else "blocks")
        self.number_changed.emit(number)


class ComboBox(QComboBox):
    """A choice from a list; values are (value, text). The wheel scrolls the page instead."""

    chosen = Signal(str)

    def __init__(self, name: str, choices: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.set_choices(choices)
        self.activated.connect(lambda _: self.chosen.emit(self.value()))
        theme().changed.connect(self.update)

    def set_choices(self, choices: Sequence[tuple[str, str]]) -> None:
        """Replace the list; the value stays if it is still there. No signal."""
        before = self.value()
        self.clear()
        for value, text in choices:
            self.addItem(text, value)
        self.set_value(before)

    def value(self) -> str:
        return str(self.currentData() or "")

    def set_value(self, value: str) -> None:
        """Select `value` without a signal; an unknown value selects the first."""
        self.setCurrentIndex(max(0, self.findData(value)) if self.count() else -1)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def shown_text(self) -> str:
        """The choice as it is drawn in the present width: both ends of a name tell it apart."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        return self.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideMiddle, room.width()
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = shown = self.shown_text()
        self.setToolTip("" if shown == self.currentText() else self.currentText())
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        token = "sub" if self.isEnabled() else "mute"
        picture = pixmap("chevron-down", token, 14, self.devicePixelRatioF())
        painter.drawPixmap(self.width() - 24, (self.height() - 14) // 2, picture)


class PathField(QWidget):
    """A path: typed, browsed for or dropped. `picked` says that a new one is complete."""

    picked = Signal(str)

    def __init__(
        self, name: str, *, folder: bool, filters: str = "", placeholder: str = ""
    ) -> None:
        super().__init__()
        self._folder, self._filters = folder, filters
        self.edit = LineEdit(name, placeholder=placeholder)
        self.edit.setAcceptDrops(False)
        self.edit.editingFinished.connect(self._typed)
        self.button = Button("Browse", icon_name="folder")
        self.button.setAccessibleName(f"Browse for {name.lower()}")
        self.button.clicked.connect(self._browse)
        self.setLayout(row(self.edit, self.button))
        self.setFocusProxy(self.edit)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAcceptDrops(True)
        self._last = ""

    def path(self) -> str:
        return self.edit.text().strip()

    def set_path(self, path: str) -> None:
        """Show `path` without a signal."""
        self._last = path
        self.edit.setText(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        if paths := dropped_paths(event):
            self._pick(str(paths[0]))

    def _browse(self) -> None:
        if self._folder:
            chosen = QFileDialog.getExistingDirectory(self, self.edit.accessibleName(), self.path())
        else:
            name = self.edit.accessibleName()
            chosen = QFileDialog.getOpenFileName(self, name, self.path(), self._filters)[0]
        if chosen:
            self._pick(chosen)

    def _typed(self) -> None:
        if self.path() != self._last:
            self._pick(self.path())

    def _pick(self, path: str) -> None:
        self.set_path(path)
        self.picked.emit(path)


def dropped_paths(event: QDropEvent) -> list[Path]:
    """The local files and folders somebody drags here."""
    urls = event.mimeData().urls() if event.mimeData().hasUrls() else []
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
