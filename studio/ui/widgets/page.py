"""What every page stands on: a background, a title with actions, a scrolling column."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from studio.ui.widgets.layout import PAGE_MARGINS, column, row
from studio.ui.widgets.text import ElidedLabel, label


class ScrollArea(QScrollArea):
    """Scrolls a column (`body`) up and down; never sideways. Focus scrolls into view."""

    def __init__(
        self, margins: tuple[int, int, int, int] = (0, 0, 0, 0), spacing: int = 16
    ) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inner = QWidget()
        self.body = QVBoxLayout(inner)
        self.body.setContentsMargins(*margins)
        self.body.setSpacing(spacing)
        self.setWidget(inner)
        # a stylesheet on the viewport would make every child transparent
        self.viewport().setAutoFillBackground(False)
        inner.setAutoFillBackground(False)


class Page(QWidget):
    """A page of the window: `body` is its column, inside the page's margins."""

    def __init__(self, scroll: bool = True, spacing: int = 16) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self._area: ScrollArea | None = None
        if scroll:
            self._area = ScrollArea(PAGE_MARGINS, spacing)
            outer.addWidget(self._area)
            self.body = self._area.body
        else:
            self.body = QVBoxLayout()
            self.body.setContentsMargins(*PAGE_MARGINS)
            self.body.setSpacing(spacing)
            outer.addLayout(self.body)

    def to_top(self) -> None:
        """Scroll back to the start."""
        if self._area is not None:
            self._area.verticalScrollBar().setValue(0)


class Heading(QWidget):
    """A page's title and subtitle, with pills beside the title and actions at the right."""

    def __init__(self, title: str, subtitle: str = "", *actions: QWidget) -> None:
        super().__init__()
        self.title = ElidedLabel(title, "h1", Qt.TextElideMode.ElideRight)
        self.subtitle = label(subtitle, "sub", wrap=True)
        if not subtitle:
            self.subtitle.hide()
        self.beside = row(spacing=8)
        head = row(self.title, self.beside, None, spacing=12)
        head.setStretch(0, 1000)
        self.buttons = row(*actions, spacing=8)
        box = row(spacing=16)
        box.addLayout(column(head, self.subtitle, None, spacing=4), 1)
        box.addLayout(column(self.buttons, None))
        self.setLayout(box)

    def set_text(self, title: str, subtitle: str) -> None:
        self.title.setText(title)
        self.title.setMaximumWidth(self.title.sizeHint().width())  # what is beside it stays there
        self.title.updateGeometry()
        self.subtitle.setText(subtitle)
        self.subtitle.setVisible(bool(subtitle))
