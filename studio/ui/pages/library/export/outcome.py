"""What came of one export: where it lies, how it was judged, and what can be done with it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from studio.core import exporting
from studio.core.errors import StudioError
from studio.core.passport import Example
from studio.library import exports, gguf_files
from studio.library.exports import ExportFacts
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.pages.library.export.passport_view import PassportView
from studio.ui.pages.library.export.push import PushCard
from studio.ui.session import Session
from studio.ui.widgets import Button, ElidedLabel, ScrollArea, column, label

GONE = "It is no longer where it was written to."


class Outcome(QWidget):
    """Shows one export. The dialog around it places `open_button` and `talk` among its own."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.known: ExportFacts | None = None
        self._model = ""
        self.place = ElidedLabel("", "mono")
        self.facts_line = label("", "sub", wrap=True)
        self.gone = label(GONE, "warn")
        self.passport = PassportView()
        self.push = PushCard(session)
        self.open_button = Button("Open folder", "", "folder")
        self.open_button.clicked.connect(self._open_folder)
        self.talk = Button("Chat with it", "", "chat")
        self.talk.clicked.connect(self._chat)
        shown = ScrollArea(margins=(0, 0, 10, 0), spacing=12)
        for part in (self.facts_line, self.passport, self.push):
            shown.body.addWidget(part)
        shown.body.addStretch(1)
        self.setLayout(column(column(self.place, self.gone, spacing=4), shown, spacing=12))
        self._offer(False)
        self.gone.hide()

    def show_export(self, known: ExportFacts) -> None:
        """Show this one; its examples follow."""
        self.known = known
        self.place.setText(known.out)
        self.facts_line.setText(_facts(known))
        self.passport.show_passport(known.passport, grade=known.grade)
        self.push.show_export(Path(known.out), known.passport)
        self._session.background(_look, self._session.home, known, done=partial(self._more, known))

    def _more(self, known: ExportFacts, found: _Found) -> None:
        if known is not self.known:
            return
        self._offer(found.there, found.model)
        self.gone.setVisible(not found.there)
        if found.examples:
            self.passport.show_passport(known.passport, found.examples)

    def _offer(self, there: bool, model: str = "") -> None:
        self._model = model
        self.open_button.setVisible(there)
        self.push.setVisible(there)
        self.talk.setVisible(bool(model))

    def _open_folder(self) -> None:
        if self.known is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(self.known.out))

    def _chat(self) -> None:
        self._session.open_chat.emit(self._model, [])


@dataclass(frozen=True)
class _Found:
    """Whether an export is still there, the model of it that can be talked with ("" for none), and
    its examples."""

    there: bool
    model: str
    examples: tuple[Example, ...]


def _look(home: Home, known: ExportFacts) -> _Found:
    """What there is now; of one that has just been made, the examples that were recorded
    meanwhile."""
    there, model = known.there, _model_of(known) if known.there else ""
    if not known.record:
        recorded = exports.listing(home, known.adapter)
        known = next((each for each in recorded if each.out == known.out), known)
    return _Found(there, model, exports.examples(known))


def _model_of(known: ExportFacts) -> str:
    """Its folder, or its file; "" where it can't speak by itself."""
    if known.kind == "gguf":
        with contextlib.suppress(StudioError):
            return str(gguf_files.find(known.out))
    return known.out if known.kind == "safetensors" else ""


def _facts(known: ExportFacts) -> str:
    kind = " ".join(part for part in (exporting.title(known.kind), known.quantization) if part)
    size = f": {say.size(known.bytes)}" if known.bytes else ""
    took = f" in {say.duration(known.seconds)}" if known.seconds else ""
    base = exporting.base_words(known.base, known.base_losses)
    return f"{kind}{size}{took}. {base}".strip()
