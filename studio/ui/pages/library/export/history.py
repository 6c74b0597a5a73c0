"""Every export that was made of an adapter, and the passport of each."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from studio.core import exporting
from studio.core.errors import StudioError
from studio.core.passport import Example
from studio.library import exports
from studio.library.adapters import AdapterFacts
from studio.library.exports import ExportFacts
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.pages.library.export.passport_view import PassportView
from studio.ui.pages.library.export.push import PushCard
from studio.ui.session import Session
from studio.ui.tables.runs import when
from studio.ui.widgets import Button, ElidedLabel, EmptyState, ScrollArea, column, label, row

WIDTH, HEIGHT, LIST_WIDTH = 880, 620, 290
_GRADES = {"pass": "passed", "fail": "failed", "": "not checked"}


class ExportsDialog(QDialog):
    """A list at the left, the latest first; place and passport of one at the right."""

    def __init__(self, parent: QWidget, session: Session, facts: AdapterFacts) -> None:
        super().__init__(parent)
        self._session = session
        self._rows: list[tuple[ExportFacts, tuple[Example, ...]]] = []
        self.setWindowTitle("Exports")
        self.setAccessibleName(f"Exports of {facts.name}")
        self.setFixedSize(WIDTH, HEIGHT)
        self.list = QListWidget()
        self.list.setAccessibleName("Exports")
        self.list.setFixedWidth(LIST_WIDTH)
        self.list.currentRowChanged.connect(self._show)
        self.passport = PassportView()
        self.push = PushCard(session)
        self.push.busy.connect(self.list.setDisabled)
        self.finished.connect(self.push.cancel)
        self.place = ElidedLabel("", "mono")
        self.open_button = Button("Open folder", "", "folder")
        self.open_button.clicked.connect(self._open_folder)
        self.close_button = Button("Close", "primary")
        self.close_button.clicked.connect(self.accept)
        self.gone = label("It is no longer where it was written to.", "warn")
        self.none = EmptyState(
            "upload", "Nothing exported yet", "Exports arrive here with their passports."
        )
        self._filled = QWidget()
        beside = QHBoxLayout(self._filled)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(20)
        beside.addWidget(self.list)
        shown = ScrollArea()
        shown.body.addWidget(self.passport)
        beside.addLayout(column(self.place, self.gone, shown, self.push, spacing=10), 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 22, 24, 20)
        box.setSpacing(14)
        head = row(IconLabel("upload", "accent_text", 20), spacing=10)
        title = ElidedLabel(f"Exports of {facts.name}", "h2", Qt.TextElideMode.ElideRight)
        head.addWidget(title, 1)
        box.addLayout(head)
        box.addWidget(self._filled, 1)
        box.addWidget(self.none, 1)
        box.addLayout(row(self.open_button, None, self.close_button))
        self._filled.hide()
        self.open_button.setEnabled(False)
        session.background(_all, session.home, facts.path, done=self._loaded)

    def _loaded(self, rows: list[tuple[ExportFacts, tuple[Example, ...]]]) -> None:
        self._rows = rows
        self._filled.setVisible(bool(rows))
        self.none.setVisible(not rows)
        self.open_button.setEnabled(bool(rows))
        for known, _ in rows:
            self.list.addItem(QListWidgetItem(_line(known)))
        self.list.setCurrentRow(0)

    def _show(self, place: int) -> None:
        if not 0 <= place < len(self._rows):
            return
        known, shown = self._rows[place]
        self.place.setText(known.out)
        self.gone.setVisible(not known.there)
        self.open_button.setEnabled(known.there)
        self.passport.show_passport(known.passport, shown)
        self.push.setVisible(known.there)
        self.push.show_export(Path(known.out), known.passport)

    def _open_folder(self) -> None:
        known, _ = self._rows[self.list.currentRow()]
        QDesktopServices.openUrl(QUrl.fromLocalFile(known.out))


def _all(home: Home, adapter: str) -> list[tuple[ExportFacts, tuple[Example, ...]]]:
    return [
        (known, exports.examples(Path(known.record))) for known in exports.listing(home, adapter)
    ]


def _line(known: ExportFacts) -> str:
    """An export in two lines: what as and how it was judged, when and how large."""
    try:
        title = exporting.find(known.kind).title
    except StudioError:
        title = known.kind
    sort = f" {known.quantization}" if known.quantization else ""
    grade = _GRADES[known.passport.grade if known.passport else ""]
    return f"{title}{sort}: {grade}\n{when(known.created_at)}, {say.size(known.bytes)}"
