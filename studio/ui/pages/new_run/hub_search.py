"""Models of the Hugging Face hub: search, and ask for a download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.core.hub import HubModel
from studio.library import catalogue, settings
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.icons import IconLabel
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.badges import badges
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    InlineMessage,
    LineEdit,
    Pill,
    Separator,
    clear,
    column,
    label,
    row,
)

SHOWN = 8


def search(preparer: Any, home: Home, text: str, cancelled: Any) -> list[HubModel]:
    """Ask the hub, with the user's token where there is one."""
    catalogue.known()  # read here, off the window's thread
    found: list[HubModel] = preparer.hub_search(
        text, settings.token(home) or "", SHOWN, cancelled=cancelled
    )
    return found


class HubSearch(QWidget):
    """A search line and its results; `wanted` is the id of a model to download."""

    wanted = Signal(str)

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__()
        self._session, self._draft = session, draft
        self._task: Task | None = None
        self.edit = LineEdit(
            "Search the Hugging Face hub",
            placeholder="Search the Hugging Face hub, or paste organisation/name",
            icon_name="search",
        )
        self.edit.returnPressed.connect(self.search)
        self.button = Button("Search")
        self.button.clicked.connect(self.search)
        self.message = InlineMessage(closable=True)
        self.card = Card(margin=14, spacing=0)
        self.card.hide()
        line = row(self.edit, self.button, spacing=10)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(12)
        box.addLayout(line)
        box.addWidget(self.message)
        box.addWidget(self.card)

    def search(self) -> None:
        """Ask the hub for what is typed."""
        text = self.edit.text().strip()
        if not text:
            return
        if self._task is not None:
            self._task.cancel()
        self.message.hide()
        self._show_words(f"Searching for {text}")
        self._task = self._session.prepare(
            search, self._session.home, text, done=self._found, failed=self._failed
        )

    def _found(self, found: Sequence[HubModel]) -> None:
        self._task = None
        if not found:
            self._show_words("Nothing found. The search looks at text models with safetensors.")
            return
        clear(self.card.body)
        for index, model in enumerate(found[:SHOWN]):
            if index:
                self.card.add(11, Separator(), 11)
            self.card.add(self._line(model))

    def _line(self, model: HubModel) -> QWidget:
        name = ElidedLabel(model.id, "b")
        parts = [
            say.parameters(model.parameters) if model.parameters else "",
            model.architecture.removesuffix("ForCausalLM"),
            model.licence,
            f"{say.count(model.downloads)} downloads" if model.downloads else "",
        ]
        detail = ElidedLabel(" \N{MIDDLE DOT} ".join(part for part in parts if part), "mute")
        if not detail.text():
            detail.hide()
        pill = Pill("Needs a token" if model.gated else "", "warn")
        if model.gated:
            pill.setToolTip("Accept its terms on the hub, then save your token in Settings.")
        button = Button("Download", icon_name="download")
        button.setAccessibleName(f"Download {model.id}")
        button.clicked.connect(lambda: self.wanted.emit(model.id))
        line = QWidget()
        words = column(name, detail, spacing=2)
        if pills := self._badges(model.id):
            words.addLayout(row(*(Pill(*each) for each in pills), None, spacing=6))
        inside = row(IconLabel("box", "sub", 18), words, spacing=12)
        inside.setStretch(1, 1)
        inside.addWidget(pill)
        inside.addWidget(button)
        line.setLayout(inside)
        return line

    def _badges(self, name: str) -> list[tuple[str, str]]:
        """How it fits by each method, where the catalogue has its configuration."""
        known = catalogue.find(name)
        return badges(known.facts(), self._draft.around.told) if known else []

    def _failed(self, error: StudioError) -> None:
        self._task = None
        self.card.hide()
        self.message.show_error(error)

    def _show_words(self, text: str) -> None:
        clear(self.card.body)
        self.card.add(label(text, "mute"))
        self.card.show()
