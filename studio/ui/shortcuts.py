"""The keys that act on the training at work, wherever the window is."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence

TOGGLE = "Ctrl+P"
STOP = "Ctrl+Shift+S"
QUIT = "Ctrl+Q"


def native(keys: str) -> str:
    """The keys as this system writes them."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)


def tip(text: str, keys: str) -> str:
    """A tooltip that names its keys."""
    return f"{text} ({native(keys)})"
