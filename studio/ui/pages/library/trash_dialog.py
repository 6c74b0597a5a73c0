"""The adapters in the trash: back into the library, or gone for good."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from studio.core.errors import StudioError
from studio.library import adapters, trash
from studio.library.folders import Home
from studio.library.trash import Trashed
from studio.ui.icons import IconLabel
from studio.ui.session import Session
from studio.ui.tables.runs import when
from studio.ui.widgets import Button, ConfirmDialog, InlineMessage, label, row

WIDTH, HEIGHT = 540, 460
_ENTRY = Qt.ItemDataRole.UserRole + 1


class TrashDialog(QDialog):
    """Emits `restored` with the folder of each adapter that came back."""

    restored = Signal(str)

    def __init__(self, parent: QWidget, session: Session) -> None:
        super().__init__(parent)
        self._session = session
        self.setWindowTitle("Trash")
        self.setAccessibleName("Adapters in the trash")
        self.setModal(True)
        self.resize(WIDTH, HEIGHT)
        self.problem = InlineMessage()
        self.list = QListWidget()
        self.list.setAccessibleName("Adapters in the trash")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.itemSelectionChanged.connect(self._selected)
        self.empty = label("There are no adapters in the trash.", "sub")
        self.back = Button("Put back", "primary", "refresh")
        self.back.clicked.connect(self._restore)
        self.erase = Button("Delete for good", "danger", "trash")
        self.erase.clicked.connect(self._ask)
        leave = Button("Close")
        leave.clicked.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        box.addLayout(row(IconLabel("trash", "accent_text", 20), label("Trash", "h2"), None))
        box.addWidget(self.problem)
        box.addWidget(self.empty)
        box.addWidget(self.list, 1)
        box.addLayout(row(leave, None, self.erase, self.back))
        self.reload()

    def reload(self) -> None:
        """Read what lies in the trash, in the background."""
        self._session.background(adapters.deleted, self._session.home, done=self._show)

    def _show(self, entries: list[Trashed]) -> None:
        self.list.clear()
        for entry in entries:
            item = QListWidgetItem(f"{entry.title}\ndeleted {when(entry.deleted_at)}")
            item.setData(_ENTRY, entry)
            self.list.addItem(item)
        self.list.setVisible(bool(entries))
        self.empty.setVisible(not entries)
        self.list.setCurrentRow(0)
        self._selected()

    def _chosen(self) -> list[Trashed]:
        return [item.data(_ENTRY) for item in self.list.selectedItems()]

    def _selected(self) -> None:
        for button in (self.back, self.erase):
            button.setEnabled(bool(self.list.selectedItems()))

    def _restore(self) -> None:
        self._session.background(
            _restored, self._session.home, self._chosen(), done=self._are_back, failed=self._failed
        )

    def _are_back(self, paths: list[str]) -> None:
        for path in paths:
            self.restored.emit(path)
        self.reload()

    def _ask(self) -> None:
        chosen = self._chosen()
        what = chosen[0].title if len(chosen) == 1 else f"{len(chosen)} adapters"
        text = f"{what} will be gone from this machine, and can't be brought back."
        answers = [("yes", "Delete for good", "danger")]
        if ConfirmDialog(self, "Delete for good?", text, answers, icon_name="trash").ask():
            self._session.background(
                _erased, chosen, done=lambda _: self.reload(), failed=self._failed
            )

    def _failed(self, error: StudioError) -> None:
        self.problem.show_error(error)
        self.reload()


def _restored(home: Home, entries: list[Trashed]) -> list[str]:
    return [str(adapters.restore(home, entry)) for entry in entries]


def _erased(entries: list[Trashed]) -> None:
    for entry in entries:
        trash.erase(entry)
