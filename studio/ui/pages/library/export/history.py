"""Everything that was made of an adapter, and the passport of each."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from studio.core import exporting
from studio.library import exports
from studio.library.adapters import AdapterFacts
from studio.library.exports import ExportFacts
from studio.ui import format as say
from studio.ui.pages.library.export.outcome import Outcome
from studio.ui.pages.library.export.passport_view import GRADES
from studio.ui.session import Session
from studio.ui.tables.runs import when
from studio.ui.widgets import (
    Button,
    ElidedLabel,
    EmptyState,
    FacesDialog,
    Pill,
    column,
    label,
    row,
)

WIDTH, HEIGHT, LIST_WIDTH, ROW_HEIGHT = 980, 690, 290, 62


class ExportsDialog(FacesDialog):
    """A list at the left, the latest first; one of them at the right, `wanted` (a folder) first."""

    def __init__(
        self, parent: QWidget, session: Session, facts: AdapterFacts, wanted: str = ""
    ) -> None:
        super().__init__(parent, "upload", f"Exports of {facts.name}", "Exports")
        self._rows: list[ExportFacts] = []
        self._wanted = wanted
        self.setModal(True)
        self.list = QListWidget()
        self.list.setAccessibleName("Merges and exports")
        self.list.setFixedWidth(LIST_WIDTH)
        self.list.currentRowChanged.connect(self._show)
        self.outcome = Outcome(session)
        self.outcome.push.busy.connect(self.list.setDisabled)
        self.finished.connect(self.outcome.push.cancel)
        self.outcome.talk.clicked.connect(self.accept)
        self.close_button = Button("Close", "primary")
        self.close_button.clicked.connect(self.accept)
        self.none = EmptyState(
            "upload", "Nothing made of it yet", "Merges and exports arrive here, with passports."
        )
        self._filled = QWidget()
        self._filled.setLayout(row(self.list, self.outcome, spacing=20))
        self._filled.hide()
        self.none.hide()
        shown, mine = column(self._filled, self.none), self.outcome
        self.add_face(
            shown, row(mine.open_button, mine.talk, None, self.close_button),
            focus=lambda: self.list, width=WIDTH, height=HEIGHT,
        )  # fmt: skip
        session.background(exports.of_adapter, session.home, facts, done=self._loaded)

    def _loaded(self, rows: list[ExportFacts]) -> None:
        self._rows = rows
        self._filled.setVisible(bool(rows))
        self.none.setVisible(not rows)
        for known in rows:
            item = QListWidgetItem()
            spoken = f"{_title(known)}: {GRADES[known.grade][0]}, {when(known.created_at)}"
            item.setData(Qt.ItemDataRole.AccessibleTextRole, spoken)
            item.setSizeHint(QSize(0, ROW_HEIGHT))
            self.list.addItem(item)
            self.list.setItemWidget(item, _line(known))
        places = [known.out for known in rows]
        self.list.setCurrentRow(places.index(self._wanted) if self._wanted in places else 0)

    def _show(self, place: int) -> None:
        if 0 <= place < len(self._rows):
            self.outcome.show_export(self._rows[place])


def _line(known: ExportFacts) -> QWidget:
    """An export in two lines: what as and how it was judged, when and how large."""
    word, tone = GRADES[known.grade]
    size = f", {say.size(known.bytes)}" if known.bytes else ""
    title = ElidedLabel(_title(known), "b", Qt.TextElideMode.ElideRight)
    made = QWidget()
    head = row(title, Pill(word, tone), spacing=8)
    head.setStretch(0, 1)
    lines = column(head, label(f"{when(known.created_at)}{size}", "sub"), spacing=3)
    lines.setContentsMargins(10, 9, 10, 9)
    made.setLayout(lines)
    return made


def _title(known: ExportFacts) -> str:
    return " ".join(part for part in (exporting.title(known.kind), known.quantization) if part)
