"""A link in a model's answer: where it leads is said in full, and opening it takes a yes."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QWidget

from studio.ui.widgets.dialogs import ConfirmDialog

_OPENED = ("http", "https")
_LONGEST = 400


def ask_about(parent: QWidget, url: QUrl) -> None:
    """Show the address, and copy it or open it in the browser, or do neither."""
    address = url.toString(QUrl.ComponentFormattingOption.FullyEncoded)
    shown = address if len(address) <= _LONGEST else f"{address[:_LONGEST]} \N{HORIZONTAL ELLIPSIS}"
    opened = url.scheme().lower() in _OPENED and bool(url.host())
    answers = [("copy", "Copy address", "")]
    if opened:
        text = f"A model wrote this link. It leads to\n\n{shown}"
        answers.append(("open", "Open in browser", "primary"))
    else:
        text = f"This isn't a web address, so the studio doesn't open it:\n\n{shown}"
    answer = ConfirmDialog(
        parent.window(), "Open this link?", text, answers, icon_name="globe"
    ).ask()
    if answer == "open":
        QDesktopServices.openUrl(url)
    elif answer == "copy":
        QGuiApplication.clipboard().setText(address)
