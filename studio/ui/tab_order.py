"""The order Tab goes through a window: as its layouts read, also for what was built later."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLayout, QScrollArea, QStackedWidget, QWidget

NEXT, BACK = Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason


def move_focus(window: QWidget, forward: bool) -> bool:
    """Give the focus to the next (or previous) stop of a window; False where there is none."""
    order = [window, *_inside(window)]
    now: QWidget | None = window.focusWidget()
    while now is not None and now not in order:
        now = now.parentWidget()
    here = order.index(now) if now is not None else 0
    ahead = [*order[here + 1 :], *order[:here]]
    if not forward:
        ahead.reverse()
    stop = next((each for each in ahead if _takes_focus(each)), None)
    if stop is not None:
        stop.setFocus(NEXT if forward else BACK)
    return stop is not None


def _takes_focus(widget: QWidget) -> bool:
    takes = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return takes and widget.isEnabled() and widget.isVisible() and widget.focusProxy() is None


def _inside(widget: QWidget) -> Iterator[QWidget]:
    """What is visible in a widget, depth first, in the order of its layout."""
    for child in _children(widget):
        if child.isVisible():
            yield child
            yield from _inside(child)


def _children(widget: QWidget) -> list[QWidget]:
    if isinstance(widget, QStackedWidget):
        return [each for each in (widget.currentWidget(),) if each is not None]
    if isinstance(widget, QScrollArea):
        return [each for each in (widget.widget(),) if each is not None]
    laid_out = list(_laid_out(widget.layout()))
    rest = [
        each
        for each in widget.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
        if each not in laid_out and not each.isWindow()
    ]
    return [*laid_out, *rest]


def _laid_out(layout: QLayout | None) -> Iterator[QWidget]:
    """The widgets of a layout and of the layouts in it, in their order."""
    if layout is None:
        return
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item is None:
            continue
        if (widget := item.widget()) is not None:
            yield widget
        else:
            yield from _laid_out(item.layout())
