"""Rows, columns and grids in the studio's spacing."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtWidgets import QBoxLayout, QGridLayout, QHBoxLayout, QLayout, QVBoxLayout, QWidget

XS, S, M, L, XL, XXL = 4, 8, 12, 16, 24, 32
PAGE_MARGINS = (32, 28, 32, 24)

Box = TypeVar("Box", bound=QBoxLayout)
Item = QWidget | QLayout | int | None
"""What a row or column takes: a widget, a layout, extra pixels, or None for a stretch."""


def row(*items: Item, spacing: int = S) -> QHBoxLayout:
    """The items side by side; None stretches, an int is that many pixels."""
    return _fill(QHBoxLayout(), items, spacing)


def column(*items: Item, spacing: int = S) -> QVBoxLayout:
    """The items one under the other; None stretches, an int is that many pixels."""
    return _fill(QVBoxLayout(), items, spacing)


def grid(
    columns: int, *widgets: QWidget, spacing: int = M, row_spacing: int | None = None
) -> QGridLayout:
    """The widgets in `columns` columns of equal width."""
    made = QGridLayout()
    made.setContentsMargins(0, 0, 0, 0)
    made.setHorizontalSpacing(spacing)
    made.setVerticalSpacing(spacing if row_spacing is None else row_spacing)
    for index in range(columns):
        made.setColumnStretch(index, 1)
    for index, widget in enumerate(widgets):
        made.addWidget(widget, index // columns, index % columns)
    return made


def clear(layout: QLayout) -> None:
    """Take everything out of the layout and delete its widgets."""
    while item := layout.takeAt(0):
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
        elif inner is not None:
            clear(inner)


def restyle(widget: QWidget, name: str, value: object) -> None:
    """Set a dynamic property the stylesheet is keyed on, and repaint by it."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def _fill(box: Box, items: tuple[Item, ...], spacing: int) -> Box:
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(spacing)
    for item in items:
        if item is None:
            box.addStretch(1)
        elif isinstance(item, int):
            box.addSpacing(item)
        elif isinstance(item, QWidget):
            box.addWidget(item)
        else:
            box.addLayout(item)
    return box
