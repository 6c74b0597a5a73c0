"""Form fields tied to dotted fields of the draft: one way in, one way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtWidgets import QLineEdit, QWidget

from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.widgets import ComboBox, Field, NumberEdit, SettingRow, Switch


class Form:
    """The bound fields of one step; `refresh` shows the draft in all of them."""

    def __init__(self, draft: RecipeDraft) -> None:
        self._draft = draft
        self.fields: dict[str, Field] = {}
        self._readers: list[Callable[[], None]] = []

    def number(self, path: str, title: str, hint: str = "", **options: Any) -> Field:
        """A number; `options` are NumberEdit's. What is no number stays as it was typed."""
        edit = NumberEdit(title, **options)
        edit.number_changed.connect(
            lambda number: self._draft.set(path, edit.text() if number is None else number)
        )

        def read() -> None:
            value = self._draft.get(path)
            if isinstance(value, int | float):
                edit.set_number(value)
            elif edit.text() != str(value):
                edit.setText(str(value))

        return self._field(path, title, edit, hint, read)

    def choice(self, path: str, title: str, choices: Sequence[tuple[str, str]], hint: str) -> Field:
        """One of a few values."""
        box = ComboBox(title, choices)
        box.chosen.connect(lambda value: self._draft.set(path, value))
        return self._field(
            path, title, box, hint, lambda: box.set_value(str(self._draft.get(path)))
        )

    def yes_no(self, path: str, title: str, hint: str) -> Field:
        """Something that is so or not, with its problems beside it."""
        box = ComboBox(title, [("no", "No"), ("yes", "Yes")])
        box.chosen.connect(lambda value: self._draft.set(path, value == "yes"))
        return self._field(
            path, title, box, hint, lambda: box.set_value("yes" if self._draft.get(path) else "no")
        )

    def text(self, path: str, title: str, edit: QLineEdit, hint: str = "") -> Field:
        """A line of text."""
        edit.textEdited.connect(lambda text: self._draft.set(path, text))

        def read() -> None:
            if edit.text() != self._draft.get(path):
                edit.setText(str(self._draft.get(path)))

        return self._field(path, title, edit, hint, read)

    def switch(self, path: str, title: str, text: str) -> SettingRow:
        """Something that is on or off."""
        switch = Switch(title)
        switch.toggled.connect(lambda on: self._draft.set(path, on))
        self._readers.append(lambda: _quietly(switch, bool(self._draft.get(path))))
        return SettingRow(title, text, switch)

    def refresh(self) -> None:
        """Show values and problems as the draft has them now."""
        for read in self._readers:
            read()
        for path, field in self.fields.items():
            field.show_problems(self._draft.problems_of(path))

    def _field(
        self, path: str, title: str, editor: QWidget, hint: str, read: Callable[[], None]
    ) -> Field:
        self.fields[path] = Field(title, editor, hint, path)
        self._readers.append(read)
        return self.fields[path]


def _quietly(switch: Switch, on: bool) -> None:
    switch.blockSignals(True)
    switch.setChecked(on)
    switch.blockSignals(False)
    switch.update()
