"""Questions that stop everything else until they are answered."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from studio.ui.icons import IconLabel
from studio.ui.widgets.buttons import Button
from studio.ui.widgets.inputs import LineEdit
from studio.ui.widgets.layout import row
from studio.ui.widgets.text import label


class ConfirmDialog(QDialog):
    """A question with named answers, the safest last and on Escape.

    `answers` are (value, text, kind of button); `answer()` is "" when cancelled.
    """

    def __init__(
        self,
        parent: QWidget | None,
        title: str,
        text: str,
        answers: Sequence[tuple[str, str, str]],
        cancel: str = "Cancel",
        icon_name: str = "info",
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.setMinimumWidth(440)
        self._answer = ""
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(24, 22, 24, 20)
        self.body.setSpacing(10)
        self.body.addLayout(row(IconLabel(icon_name, "accent_text", 20), label(title, "h2"), None))
        words = label(text, "sub", wrap=True)
        words.setMinimumWidth(392)
        words.setMaximumWidth(520)
        self.body.addWidget(words)
        self.body.addSpacing(8)
        self.buttons = {value: Button(said, kind) for value, said, kind in answers}
        self.cancel_button = Button(cancel)
        self.cancel_button.clicked.connect(self.reject)
        for value, button in self.buttons.items():
            button.clicked.connect(lambda _=False, chosen=value: self._choose(chosen))
        self._row = row(self.cancel_button, None, *self.buttons.values(), spacing=8)
        self.body.addLayout(self._row)
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)

    def answer(self) -> str:
        return self._answer

    def ask(self) -> str:
        """Show it and wait; the answer's value, or "" when cancelled."""
        self.exec()
        return self._answer

    def _choose(self, value: str) -> None:
        self._answer = value
        self.accept()


class NameDialog(ConfirmDialog):
    """Asks for one line of text; `ask()` gives it back stripped, or "" when cancelled."""

    def __init__(
        self, parent: QWidget | None, title: str, text: str, name: str, action: str
    ) -> None:
        super().__init__(parent, title, text, [("ok", action, "primary")], icon_name="pencil")
        self.edit = LineEdit(title, name)
        self.edit.selectAll()
        self.body.insertWidget(2, self.edit)
        self.edit.textChanged.connect(self._check)
        self.edit.returnPressed.connect(self._enter)
        self.edit.setFocus()
        self._check()

    def ask(self) -> str:
        return self.edit.text().strip() if super().ask() else ""

    def _check(self) -> None:
        self.buttons["ok"].setEnabled(bool(self.edit.text().strip()))

    def _enter(self) -> None:
        if self.edit.text().strip():
            self._choose("ok")
