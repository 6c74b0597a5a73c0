"""Choices as cards: a checkable button, so keyboard and screen reader work as with any other."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from studio.ui.icons import IconLabel
from studio.ui.widgets.buttons import Pressable
from studio.ui.widgets.layout import row
from studio.ui.widgets.pill_row import PillRow
from studio.ui.widgets.text import ElidedLabel, label


class OptionCard(Pressable):
    """A title, a sentence and pills; checkable. Group several in a QButtonGroup."""

    def __init__(
        self,
        title: str,
        text: str = "",
        icon_name: str = "",
        height: int = 84,
        pills_below: bool = False,
    ) -> None:
        super().__init__()
        self.setProperty("k", "option")
        self.setCheckable(True)
        self.setAutoDefault(False)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self._height = height
        self._spoken: list[str] = []
        self._title = ElidedLabel(title, "b", Qt.TextElideMode.ElideRight)
        self._text = label(text, "sub", wrap=True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._pills = PillRow(grows=pills_below)
        head = row(self._title, spacing=8)
        head.setStretch(0, 1)
        if not pills_below:
            head.addWidget(self._pills)
        if icon_name:
            head.insertWidget(0, IconLabel(icon_name, "accent_text", 16))
        self._box = box = QVBoxLayout(self)
        box.setContentsMargins(16, 14, 16, 14)
        box.setSpacing(5)
        box.addLayout(head)
        box.addWidget(self._text, 1)
        if pills_below:
            box.addWidget(self._pills)
        self._name()
        self._pass_clicks()

    def set_pills(self, pills: Sequence[tuple[str, str]]) -> None:
        """Replace the pills: (text, tone) each."""
        if list(pills) != self._pills.pills():
            self._pills.set_pills(pills)
            self._spoken = [text for text, _ in pills]
            self._name()

    def set_text(self, text: str) -> None:
        """Replace the sentence under the title."""
        self._text.setText(text)
        self._name()
        self.updateGeometry()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return max(self._height, self._box.heightForWidth(width))

    def sizeHint(self) -> QSize:
        return QSize(220, max(self._height, self._box.totalSizeHint().height()))

    def minimumSizeHint(self) -> QSize:
        return QSize(140, self._height)

    def _name(self) -> None:
        self.setAccessibleName(self._title.text())
        self.setAccessibleDescription(". ".join([*self._spoken, self._text.text()]))

    def _pass_clicks(self) -> None:
        for child in self.findChildren(QWidget):
            child.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
