"""Which format, and its choices: cards at the left, what may be chosen of one at the right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QWidget

from studio.core import exporting
from studio.core.exporting import Format, Quantization
from studio.library.adapters import AdapterFacts
from studio.library.folders import free_path, legal_name
from studio.ui import format as say
from studio.ui.pages.library.export.exporting import Outlook, look
from studio.ui.pages.parts.dialog import install
from studio.ui.session import Session
from studio.ui.widgets import (
    ComboBox,
    Field,
    InlineMessage,
    LineEdit,
    OptionCard,
    PathField,
    ScrollArea,
    SettingRow,
    Switch,
    column,
    label,
    row,
)

CARDS_WIDTH = 376
_DTYPES = {
    "auto": "As the base",
    "bfloat16": "bfloat16 (16 bit)",
    "float16": "float16 (16 bit)",
    "float32": "float32 (32 bit)",
}
_CHECKS = (
    ("full", "Full: 1,000 tokens of answers"),
    ("quick", "Quick: 200 tokens"),
    ("none", "None"),
)
_BASES = (
    ("auto", "Whichever does better on held-out rows"),
    ("original", "The 16-bit original"),
    ("trained", "The 4-bit base it was trained on, in 16 bits"),
)
_IMPORTANCE = "Rounds with most care what counts on its training rows."
_NO_ONTO = ("adapter", "nf4-adapter")


class Question(QWidget):
    """Emits `ready`: whether the format chosen can be exported now; `entered` on Enter in the
    folder's name. Of a single format there is no card to choose."""

    ready = Signal(bool)
    entered = Signal()

    def __init__(self, session: Session, facts: AdapterFacts, formats: Sequence[Format]) -> None:
        super().__init__()
        self._session, self._facts, self._formats = session, facts, formats
        self._suggested = Path()
        self.format: Format = formats[0]
        self.cards: dict[str, OptionCard] = {}
        self._missing: tuple[str, ...] = ()
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(20)
        if len(formats) > 1:
            cards = ScrollArea()
            cards.body.addWidget(self._cards())
            cards.setFixedWidth(CARDS_WIDTH)
            choices = ScrollArea()
            choices.body.addWidget(self._choices(margin=10))
            box.addWidget(cards)
            box.addWidget(choices, 1)
        else:
            box.addWidget(self._choices())
        self._chosen(self.format)

    @property
    def first(self) -> QWidget:
        """What has the focus first."""
        return self.cards.get(self.format.id, self.out.edit)

    def choose(self, name: str) -> None:
        """Choose a format as a click on its card does."""
        self.cards[name].click()

    def choices(self) -> dict[str, Any]:
        """What was chosen, as fields of the job."""
        found: dict[str, Any] = {"check": self.check.value()}
        if self.format.quantizations:
            found["quantization"] = self.kind.value()
        elif self.format.dtypes:
            found["dtype"] = self.kind.value()
        if self.format.takes_system and self.system.text().strip():
            found["system"] = self.system.text().strip()
        if self._is_weighed():
            asked = "yes" if self.importance.isChecked() else "no"
            found["settings"] = {exporting.IMPORTANCE: asked}
        if self._has_two_bases():
            found["onto"] = self.onto.value()
        return found

    def _cards(self) -> QWidget:
        group = QButtonGroup(self)
        inside = column(spacing=8)
        inside.setContentsMargins(2, 2, 10, 2)
        for each in self._formats:
            card = OptionCard(each.title, f"For {', '.join(each.readers)}", height=64)
            card.clicked.connect(lambda _=False, one=each: self._chosen(one))
            group.addButton(card)
            inside.addWidget(card)
            self.cards[each.id] = card
        inside.addStretch(1)
        self.cards[self.format.id].setChecked(True)
        made = QWidget()
        made.setLayout(inside)
        return made

    def _choices(self, margin: int = 0) -> QWidget:
        self.title = label("", "b", wrap=True)
        self.title.setVisible(len(self._formats) > 1)
        self.about = label("", "sub", wrap=True)
        self.advice = InlineMessage()
        self.part = InlineMessage()
        self.part.acted.connect(self._install)
        self.out = PathField("Folder to write to", folder=True)
        self.out.edit.returnPressed.connect(self.entered)
        self.kind = ComboBox("Number format", [("auto", "As the base")])
        self.kind.currentIndexChanged.connect(lambda _: self._kind_chosen())
        self.importance = Switch("Importance matrix", on=True)
        self._importance_row = SettingRow("Importance matrix", _IMPORTANCE, self.importance)
        self.onto = ComboBox("Base to build on", _BASES)
        self.system = LineEdit("System prompt", "", "none")
        self.check = ComboBox("Check", _CHECKS)
        self._kind_field = Field("Number format", self.kind)
        self._onto_field = Field(
            "Base", self.onto, "Trained with QLoRA: there are two to choose from."
        )
        self._system_field = Field(
            "System prompt", self.system, "What every conversation begins with."
        )
        where = Field("Folder", self.out, "A folder that doesn't exist yet.")
        check = Field("Check against the live model", self.check)
        self.disk = label("", "mute")
        inside = column(
            self.title, self.about, self.advice, self.part, where, self._kind_field,
            self._importance_row, self._onto_field, self._system_field, check,
            row(self.disk, None), None, spacing=12,
        )  # fmt: skip
        inside.setContentsMargins(0, 2, margin, 2)
        made = QWidget()
        made.setLayout(inside)
        return made

    def _chosen(self, format: Format) -> None:
        self.format = format
        self.title.setText(format.title)
        self.about.setText(format.text)
        self.advice.setVisible(False)
        if format.advice:
            self.advice.show_message("Round with care", format.advice, "", "warn")
        self.part.hide()
        self.kind.blockSignals(True)
        self.kind.clear()
        for value, text in _kinds(format):
            self.kind.addItem(text, value)
        self.kind.blockSignals(False)
        self._kind_field.setVisible(self.kind.count() > 1)
        self._onto_field.setVisible(self._has_two_bases())
        self._system_field.setVisible(format.takes_system)
        self._suggest()
        self._kind_chosen()

    def _kind_chosen(self) -> None:
        self._importance_row.setVisible(self._is_weighed())
        self._look()

    def _suggest(self) -> None:
        """Name the folder after the format, while it is as it was suggested."""
        if self.out.path() in ("", str(self._suggested)):
            home, merged = self._session.home, self.format.id == "safetensors"
            folder = home.models if merged else home.root / "exported"
            name = f"{legal_name(self._facts.name)}-{'merged' if merged else self.format.id}"
            self._suggested = free_path(folder, name)
            self.out.set_path(str(self._suggested))

    def _has_two_bases(self) -> bool:
        return self._facts.method == "qlora" and self.format.id not in _NO_ONTO

    def _is_weighed(self) -> bool:
        """Whether rounding can go by rows that a run here learnt from, and gains by it."""
        chosen = self._quantization()
        takes = exporting.IMPORTANCE in self.format.settings
        return bool(takes and self._facts.run and chosen and chosen.coarse)

    def _quantization(self) -> Quantization | None:
        value = str(self.kind.value() or "")
        return exporting.quantization(self.format, value) if self.format.quantizations else None

    def _look(self) -> None:
        """Ask in the background for the size, and for parts that are missing."""
        self.disk.setText("Working out its size")
        self.ready.emit(not self.format.parts)
        wanted = self.format
        dtype = str(self.kind.value()) if wanted.dtypes else "auto"
        self._session.background(
            look, self._session.home, self._facts, wanted, self._quantization(), dtype,
            done=partial(self._seen, wanted),
        )  # fmt: skip

    def _seen(self, format: Format, found: Outlook) -> None:
        if format is not self.format:
            return
        known = found.bytes is not None
        self.disk.setText(f"About {say.size(found.bytes or 0)} on the disk" if known else "")
        self.ready.emit(not found.missing)
        self._missing = tuple(part.name for part in found.missing)
        if found.missing:
            self._offer(found)

    def _offer(self, found: Outlook) -> None:
        titles = " and ".join(part.title for part in found.missing)
        if found.unavailable:
            text = f"It needs {titles}, and there is no build of it for this machine."
            self.part.show_message("Not on this machine", text, "Choose another format.", "warn")
            return
        from studio.library import parts

        machine = parts.this_machine()
        size = sum(part.size_on(machine) or 0 for part in found.missing)
        self.part.show_message(
            "A part is missing", f"It needs {titles}: {say.size(size)} to download.", "", "info",
            "Install",
        )  # fmt: skip

    def _install(self) -> None:
        if install(self._session, self, self._missing):
            self.part.hide()
            self._look()


def _kinds(format: Format) -> list[tuple[str, str]]:
    """The number formats of a form: value and words."""
    if format.quantizations:
        return [
            (each.id, f"{each.id}{f': {each.text}' if each.text else ''}")
            for each in format.quantizations
        ]
    return [(name, _DTYPES.get(name, name)) for name in format.dtypes]
