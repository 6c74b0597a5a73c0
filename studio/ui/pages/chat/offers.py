"""Who can be spoken to and what could be asked first, looked up in the background."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.library import adapter_files, adapters, gguf_files, models
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.pages.chat.sides import Sides
from studio.ui.pages.chat.suggestions import first_questions
from studio.ui.session import Session


class Offers(QObject):
    """Fills the choice of models and sides, and says what it found."""

    model_changed = Signal(str)
    """The model that was chosen is gone: another one is chosen now."""
    found = Signal()
    """The models are known."""
    fits = Signal(bool)
    """Whether there is an adapter for the chosen model, or a GGUF file made of it."""
    suggested = Signal(list)
    """Questions to begin with."""

    def __init__(self, session: Session, sides: Sides, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._sides = session, sides
        self._kept = False

    def look(self, keep: bool) -> None:
        """Look for models; `keep` the chosen one even where it isn't among them."""
        self._kept = keep
        self._session.background(known_models, self._session.home, done=self._models)

    def look_for_adapters(self) -> None:
        """Look for the adapters that belong on the chosen model."""
        model = self._sides.model.value()
        if model:
            self._session.background(
                fitting, self._session.home, model, done=lambda found: self._adapters(model, found)
            )

    def suggest(self) -> None:
        """Look for questions that suit the chosen sides."""
        wanted = self._sides.datasets()
        self._session.background(first_questions, wanted, done=self.suggested.emit)

    def _models(self, found: list[tuple[str, str]]) -> None:
        before = self._sides.model.value()
        self._sides.set_models(found)
        if before and self._kept:
            self._sides.show_model(before)
        if self._sides.model.value() != before:
            self.model_changed.emit(self._sides.model.value())
        else:
            self.look_for_adapters()
        self.found.emit()

    def _adapters(self, model: str, found: tuple[list[AdapterFacts], list[str]]) -> None:
        if model == self._sides.model.value():
            self._sides.set_adapters(*found)
            self.fits.emit(any(found))
            self.suggest()


def known_models(home: Home) -> list[tuple[str, str]]:
    """Path and name of every model and exported GGUF file that can be talked to; not for the
    window's thread."""
    found = [(facts.path, facts.name) for facts in models.listing(home) if not models.errors(facts)]
    return found + [(file, Path(file).name) for file, _ in gguf_files.exported(home)]


def fitting(home: Home, model: str) -> tuple[list[AdapterFacts], list[str]]:
    """The library's adapters that belong on this model, the latest first, and the GGUF files that
    were made of it; reads headers only."""
    files = gguf_files.exported(home)
    if gguf_files.names_file(model):
        source = next((facts.model for file, facts in files if file == model), None)
        return [], [file for file, facts in files if facts.model == source and file != model]
    base = models.inspect(Path(model))
    found = [facts for facts in adapters.listing(home) if _fits(facts, base)]
    mine = {facts.path for facts in found}
    return found, [f for f, facts in files if facts.model == model or facts.adapter in mine]


def _fits(facts: AdapterFacts, base: ModelFacts) -> bool:
    if facts.problem:
        return False
    if facts.base_digest and facts.base_digest == base.digest:
        return True
    try:
        adapter_files.check_shapes(Path(facts.path), Path(base.path))
    except StudioError:
        return False
    return True
