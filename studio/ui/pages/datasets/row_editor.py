"""A dialog with the rows of an own set: a list, the fields of one, and undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QSizePolicy, QWidget
from shiboken6 import isValid

from studio.core.errors import StudioError
from studio.core.own_sets import OwnRow
from studio.library import own_datasets, own_rows, ratings
from studio.ui.pages.datasets.row_fields import RowFields
from studio.ui.session import Session
from studio.ui.widgets import Button, InlineMessage, NameDialog, ScrollArea, column, label, row

PAGE = 200
_SHOWN = 80


class RowEditor(QDialog):
    """What is edited is saved when another row is chosen, with Ctrl+S and at the end."""

    changed = Signal()
    """The set's rows are others than before."""

    def __init__(self, session: Session, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._session, self._name = session, name
        self._growing = name == own_datasets.CHATS
        self._rows: list[OwnRow] = []
        self._current = -1
        self.list = QListWidget()
        self.list.setAccessibleName("Rows")
        self.list.setUniformItemSizes(True)
        self.list.setFixedWidth(300)
        self.fields = RowFields()
        self.message = InlineMessage(closable=True)
        self.more = Button("Show more rows", "ghost", "chevron-down")
        self.add = Button("Add row", "", "plus", "A new row like the one chosen")
        self.delete = Button("Delete row", "", "trash")
        self.undo = Button("Undo", "", "refresh", "Take the last saved change back (Ctrl+Shift+Z)")
        self.copy = Button("Edit a copy", "primary", "pencil")
        self.close_button = Button("Done", "" if self._growing else "primary")
        self._lay_out()
        self._connect()
        self._load(0)

    def save(self) -> None:
        """Save the fields of the row that is shown, if they were edited."""
        if not 0 <= self._current < len(self._rows) or self._growing:
            return
        shown = self._rows[self._current]
        try:
            values = self.fields.values()
        except StudioError as error:
            self.message.show_error(error)
            return
        if values != shown.values:
            place = self._current
            self._rows[place] = OwnRow(place, own_rows.line_of(values), values)
            self.list.item(place).setText(_words(values))
            self._write(own_rows.replace, shown, values)

    def done(self, result: int) -> None:
        """Save what was edited last, whichever way the dialog is left."""
        self.save()
        super().done(result)

    def _lay_out(self) -> None:
        self.setWindowTitle(f"Rows of {self._name}")
        self.resize(940, 620)
        about = (
            "These rows grow with the answers you rate in Chat. Edit a copy to change them."
            if self._growing
            else "Your own copy: changes are saved as you go, and can be undone."
        )
        area = ScrollArea((0, 0, 0, 0))
        area.body.addWidget(self.fields)
        area.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        left = column(self.list, self.more, spacing=8)
        both = row(left, area, spacing=18)
        both.setStretch(1, 1)
        tools: tuple[QWidget, ...] = (self.add, self.delete, self.undo)
        if self._growing:
            self.fields.set_read_only()
            tools = (self.copy,)
        box = column(
            label(self._name, "h1"), label(about, "sub", wrap=True), 6, both, self.message,
            row(*tools, None, self.close_button),
        )  # fmt: skip
        box.setStretch(3, 1)
        box.setContentsMargins(24, 22, 24, 20)
        self.setLayout(box)

    def _connect(self) -> None:
        self.list.currentRowChanged.connect(self._choose)
        self.more.clicked.connect(lambda: self._load(len(self._rows)))
        self.add.clicked.connect(self._add)
        self.delete.clicked.connect(self._delete)
        self.undo.clicked.connect(self._undo)
        self.copy.clicked.connect(self._copy)
        self.close_button.clicked.connect(self.accept)
        for keys, action in (("Ctrl+S", self.save), ("Ctrl+Shift+Z", self.undo.click)):
            QShortcut(QKeySequence(keys), self).activated.connect(action)

    def _load(self, start: int, choose: int | None = None) -> None:
        """Read rows from a place on; those before it stay as they are."""
        least = max(PAGE, len(self._rows) - start)

        def found(rows: list[OwnRow]) -> None:
            del self._rows[start:]
            self._rows += rows
            self._fill(start if choose is None else choose)
            self.more.setVisible(len(rows) >= least)

        self._ask(own_rows.read, self._name, start, least, done=found)

    def _fill(self, choose: int) -> None:
        self._current = -1
        self.list.blockSignals(True)
        self.list.clear()
        for one in self._rows:
            self.list.addItem(QListWidgetItem(_words(one.values) or one.line[:_SHOWN]))
        place = min(choose, len(self._rows) - 1)
        self.list.setCurrentRow(place)
        self.list.blockSignals(False)
        self._show(place)

    def _choose(self, place: int) -> None:
        self.save()
        self._show(place)

    def _show(self, place: int) -> None:
        self._current = place
        known = 0 <= place < len(self._rows)
        self.fields.show_values(self._rows[place].values if known else {})
        self.delete.setEnabled(known)

    def _add(self) -> None:
        """A row of the same columns as the chosen one, its texts empty, behind it."""
        self.save()
        like = self._rows[self._current].values if self._current >= 0 else {}
        place = self._current + 1
        self._write(own_rows.insert, place, _blank(like), then=lambda: self._load(0, place))

    def _delete(self) -> None:
        self.save()
        gone, place = self._rows[self._current], self._current
        self._write(own_rows.delete, gone, then=lambda: self._load(0, place))

    def _undo(self) -> None:
        self.save()

        def undone(place: int | None) -> None:
            if place is None:
                self.message.show_message("Nothing to undo", tone="info")
            else:
                self._load(0, place)
                self.changed.emit()

        self._ask(own_rows.undo, self._name, done=undone)

    def _copy(self) -> None:
        text = "The rows that there are now go into it; answers rated later don't."
        name = NameDialog(self, "Edit a copy", text, f"{self._name}-edited", "Copy").ask()
        if not name:
            return

        def made(folder: Any) -> None:
            RowEditor(self._session, folder.name, self.parentWidget()).open()
            self.accept()

        self._ask(ratings.build, name, done=made)

    def _write(
        self,
        change: Callable[..., object],
        *arguments: object,
        then: Callable[[], object] | None = None,
    ) -> None:
        def changed(_: object) -> None:
            self.changed.emit()
            if then is not None:
                then()

        self._ask(change, self._name, *arguments, done=changed)

    def _ask(
        self, function: Callable[..., Any], *arguments: object, done: Callable[[Any], object]
    ) -> None:
        """Call a function of the library; what comes of it after the dialog's end goes to nobody,
        but for errors, which the window shows."""
        session = self._session

        def answer(value: Any) -> None:
            if isValid(self):
                done(value)

        def refused(error: StudioError) -> None:
            if isValid(self):
                self.message.show_error(error)
            else:
                session.failed.emit(error)

        session.write(function, session.home, *arguments, done=answer, failed=refused)


def _words(values: dict[str, Any]) -> str:
    """What a row is about, in one short line: the first thing asked, or the first text."""
    said = values.get("messages")
    chat = said if isinstance(said, list) else []
    asked = [m.get("content") for m in chat if isinstance(m, dict) and m.get("role") != "system"]
    texts = (one for one in (*asked, *values.values()) if isinstance(one, str) and one.strip())
    return " ".join(next(texts, "(empty)")[: 2 * _SHOWN].split())[:_SHOWN]


def _blank(like: dict[str, Any]) -> dict[str, Any]:
    """Values of the same shape without words; a question and an answer where there is nothing."""
    if not like or "messages" in like:
        return {"messages": [{"role": role, "content": ""} for role in ("user", "assistant")]}
    return {key: "" if isinstance(value, str) else value for key, value in like.items()}
