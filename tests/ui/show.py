"""What the fixture `show` is: it shows a widget in its own window and gives it back."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

Show = Callable[[QWidget], QWidget]
