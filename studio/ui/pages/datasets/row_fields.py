"""The fields of one row: a text for each message or column."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.ui.widgets import clear, label
from studio.ui.widgets.fitting_edit import FittingEdit

_ROLES = {"system": "System message", "user": "User", "assistant": "Assistant", "tool": "Tool"}
_Put = Callable[[dict[str, Any], str], None]


class RowFields(QWidget):
    """Shows a row's values and gives them back as they were edited."""

    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {}
        self._edits: list[tuple[FittingEdit, _Put]] = []
        self._read_only = False
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 8, 0)
        self._box.setSpacing(6)

    def set_read_only(self) -> None:
        """Show without letting anything be changed."""
        self._read_only = True

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show these, nothing of them edited so far."""
        clear(self._box)
        self._edits = []
        self._values = json.loads(json.dumps(values))
        for key, value in self._values.items():
            if key == "messages" and _is_chat(value):
                for place, message in enumerate(value):
                    role = str(message.get("role", ""))
                    self._add(_ROLES.get(role, role), message["content"], _message(place))
            elif isinstance(value, str):
                self._add(key, value, _text(key))
            else:
                self._add(f"{key} (JSON)", json.dumps(value, ensure_ascii=False), _json(key))
        self._box.addStretch(1)

    def values(self) -> dict[str, Any]:
        """The values as edited; StudioError where a field that is JSON no longer is."""
        made: dict[str, Any] = json.loads(json.dumps(self._values))
        for edit, put in self._edits:
            if edit.document().isModified():
                put(made, edit.toPlainText())
        return made

    def _add(self, name: str, text: str, put: _Put) -> None:
        edit = FittingEdit(name, 1, 14)
        edit.setPlainText(text)
        edit.setReadOnly(self._read_only)
        edit.document().setModified(False)
        edit.textChanged.connect(self.edited)
        title = label(name, "cap")
        title.setBuddy(edit)
        self._box.addWidget(title)
        self._box.addWidget(edit)
        self._box.addSpacing(6)
        self._edits.append((edit, put))


def _is_chat(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("content"), str) for one in value
    )


def _message(place: int) -> _Put:
    def put(values: dict[str, Any], text: str) -> None:
        values["messages"][place]["content"] = text

    return put


def _text(key: str) -> _Put:
    def put(values: dict[str, Any], text: str) -> None:
        values[key] = text

    return put


def _json(key: str) -> _Put:
    def put(values: dict[str, Any], text: str) -> None:
        try:
            values[key] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise StudioError(
                "Not JSON", f"“{key}” can't be read: {error}.", "Mend it, or undo what you wrote."
            ) from error

    return put
