"""Who can be spoken to and what could be asked first, looked up in the background."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from studio.library.adapters import AdapterFacts
from studio.ui.pages.chat.sides import Sides, fitting, known_models
from studio.ui.pages.chat.suggestions import first_questions
from studio.ui.session import Session


class Offers(QObject):
    """Fills the choice of models and sides, and says what it found."""

    model_changed = Signal(str)
    """The model that was chosen is gone: another one is chosen now."""
    found = Signal()
    """The models are known."""
    fits = Signal(bool)
    """Whether there is an adapter for the chosen model."""
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

    def _adapters(self, model: str, found: list[AdapterFacts]) -> None:
        if model == self._sides.model.value():
            self._sides.set_adapters(found)
            self.fits.emit(bool(found))
            self.suggest()
