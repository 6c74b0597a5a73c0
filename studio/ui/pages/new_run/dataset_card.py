"""A chosen dataset: its name, what it was recognised as, how much of it is taken."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.core.facts import DatasetPiece, DatasetReport
from studio.core.recipe import DatasetPart
from studio.library import hub_datasets
from studio.library.datasets import SAMPLE
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    Field,
    LineEdit,
    NumberEdit,
    Pill,
    ProgressBar,
    label,
    row,
)
from studio.ui.widgets.flow import AdaptiveGrid

SURE = 0.85
"""Below this confidence the recognised columns are shown for checking."""


class DatasetCard(Card):
    """One dataset of the draft, by its place.

    `mapped` asks for its columns, `editing` for its rows in a copy.
    """

    mapped = Signal(int)
    editing = Signal(int)

    def __init__(self, draft: RecipeDraft, place: int) -> None:
        super().__init__(margin=16, spacing=10)
        self._draft, self._place = draft, place
        self._name = ElidedLabel("", "b")
        self._rows = Pill(tone="soft")
        self._format = Pill()
        self.map = Button("Columns", "ghost")
        self.map.clicked.connect(lambda: self.mapped.emit(place))
        self.more = Button("Amount", "ghost", tip="How often its rows are taken, and how many")
        self.more.setCheckable(True)
        self.edit = Button("Edit", "ghost", tip="Edit its rows in a copy")
        self.edit.clicked.connect(lambda: self.editing.emit(place))
        self.remove = Button("Remove", "ghost")
        self.remove.clicked.connect(lambda: draft.remove_dataset(place))
        head = row(IconLabel("file", "accent_text", 20), self._name, self._rows, spacing=10)
        for item in (self.map, self.more, self.edit, self.remove):
            head.addWidget(item)
        head.setStretch(1, 1)
        self._about = label("", "mute", wrap=True)
        about = row(self._format, spacing=10)
        about.addWidget(self._about, 1)
        self._known = QWidget()
        self._known.setLayout(about)
        self._options = self._amounts()
        self._options.hide()
        self.more.toggled.connect(self._options.setVisible)
        self.add(head, self._known, self._options)

    def refresh(self) -> None:
        """Show what the draft and its report say of this dataset."""
        part, report = self._draft.recipe.dataset[self._place], self._draft.report
        piece = piece_of(report, self._place)
        self._name.setText(name_of(part))
        self._rows.show_as(f"{say.count(piece.rows)} rows" if piece else "", "soft")
        self._format.show_as(*_recognised(piece, report))
        self._about.setText(_about(piece, report))
        self._known.setVisible(bool(self._format.text() or self._about.text()))
        self.map.setVisible(bool(piece and piece.columns) or bool(report and report.columns))
        names = ((self.map, "Columns of"), (self.edit, "Edit"), (self.remove, "Remove"))
        for widget, what in names:
            widget.setAccessibleName(f"{what} {self._name.text()}")
        self.weight.set_number(part.weight)
        self.limit.set_number(part.limit)
        if part.weight != 1 or part.limit:
            self.more.setChecked(True)
        for name, edit in self._origin.items():
            if not edit.hasFocus():
                edit.setText(getattr(part, name) or "")

    def _amounts(self) -> QWidget:
        self.weight = NumberEdit("Weight", minimum=0.01, step=0.5)
        self.limit = NumberEdit("Rows at most", whole=True, step=100, empty=0, placeholder="All")
        self.weight.number_changed.connect(lambda number: self._change("weight", number))
        self.limit.number_changed.connect(lambda number: self._change("limit", number))
        part = self._draft.recipe.dataset[self._place]
        names = ("config", "split", "revision") if hub_datasets.hub_id(part) else ()
        self._origin: dict[str, LineEdit] = {}
        fields = [
            Field("Weight", self.weight, "How often each row is taken"),
            Field("Rows at most", self.limit, "An even sample of them"),
        ]
        for name in names:
            title = {"config": "Configuration"}.get(name, name.capitalize())
            edit = self._origin[name] = LineEdit(title, placeholder="As the hub has it")
            edit.editingFinished.connect(partial(self._origin_typed, name))
            fields.append(Field(title, edit))
        whole = QWidget()
        whole.setLayout(AdaptiveGrid(3, 130, *fields))
        return whole

    def _origin_typed(self, name: str) -> None:
        self._draft.change_dataset(self._place, **{name: self._origin[name].text().strip()})

    def _change(self, name: str, number: float | int | None) -> None:
        """What is no number is only marked; the recipe keeps the last that was one."""
        if number is not None:
            usual = {"weight": 1, "limit": 0}[name]
            self._draft.change_dataset(self._place, **{name: None if number == usual else number})


class Reading(Card):
    """How far reading the rows is; `cancelled` gives it up."""

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__(margin=14, spacing=8)
        self.bar = ProgressBar("Reading the rows")
        self._doing = ElidedLabel("", "mute")
        self._share = label("", "mute")
        self.cancel = Button("Cancel", "ghost")
        self.cancel.clicked.connect(self.cancelled)
        line = row(self._doing, self._share, self.cancel, spacing=10)
        line.setStretch(0, 1)
        self.add(line, self.bar)
        self.hide()

    def begin(self) -> None:
        """Reading has begun."""
        self.progress("Reading the rows", None)
        self.show()

    def progress(self, text: str, share: float | None) -> None:
        """How far it is, 0 to 1 where that is known."""
        self._doing.setText(text)
        self._share.setText("" if share is None else say.share(share))
        self.bar.set_value(share)

    def end(self) -> None:
        """Reading has ended."""
        self.hide()
        self.bar.set_value(0.0)


def name_of(part: DatasetPart) -> str:
    """What a person calls a dataset."""
    if part.path == SAMPLE:
        return "The sample dataset"
    return hub_datasets.hub_id(part) or Path(part.path).name or part.path


def piece_of(report: DatasetReport | None, place: int) -> DatasetPiece | None:
    """What a report says of one dataset."""
    return report.parts[place] if report and place < len(report.parts) else None


def _recognised(piece: DatasetPiece | None, report: DatasetReport | None) -> tuple[str, str]:
    if piece is None or not piece.format:
        unknown = report is not None and not report.format and bool(report.columns)
        return ("Columns not recognised", "warn") if unknown else ("", "plain")
    if piece.format == "mapped columns":
        return "Mapped by you", "plain"
    words = f"{piece.format}, {say.share(piece.confidence)} sure"
    return words[:1].upper() + words[1:], "warn" if piece.confidence < SURE else "plain"


def _about(piece: DatasetPiece | None, report: DatasetReport | None) -> str:
    if piece is None:
        return ""
    parts = [piece.kind, f"{piece.files} files" if piece.files > 1 else "", piece.reason]
    used = piece.usable_rows
    if report and len(report.parts) > 1:
        whole = sum(one.usable_rows * one.weight for one in report.parts)
        share = used * piece.weight / whole if whole else 0.0
        parts = [f"{say.share(share)} of a pass", f"{say.count(used)} usable", piece.kind]
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)
