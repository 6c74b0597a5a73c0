"""Models on this machine as cards, each with a badge for each method."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QVBoxLayout, QWidget

from studio.core.facts import Machine, ModelFacts
from studio.library import models
from studio.ui import format as say
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.badges import Badger, badges
from studio.ui.widgets import OptionCard, clear, column
from studio.ui.widgets.flow import AdaptiveGrid

HEIGHT = 104


class ModelCards(QWidget):
    """Shows models and says which one was `chosen` (its folder)."""

    chosen = Signal(str)

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self._group = QButtonGroup(self)
        self._room = QVBoxLayout()
        self._room.setContentsMargins(0, 0, 0, 0)
        self.setLayout(column(self._room))
        self.cards: dict[str, OptionCard] = {}
        self._facts: dict[str, ModelFacts] = {}
        self._machine: Machine | None = None
        self._badger = Badger(self)

    @property
    def busy(self) -> bool:
        """Whether badges are still to come."""
        return self._badger.busy

    def show_models(self, found: Sequence[ModelFacts]) -> None:
        """Replace the cards."""
        self._badger.forget()
        clear(self._room)
        self._facts = {facts.path: facts for facts in found}
        self.cards = {facts.path: self._card(facts) for facts in found}
        if self.cards:
            inside = QWidget()
            inside.setLayout(AdaptiveGrid(2, 290, *self.cards.values()))
            self._room.addWidget(inside)
        self._machine = None
        self.refresh()

    def refresh(self) -> None:
        """Mark the chosen one, and have the badges renewed where the machine's memory changed."""
        chosen = self._draft.model.path if self._draft.model else self._draft.model_path
        self._group.setExclusive(False)
        for path, card in self.cards.items():
            card.setChecked(path == chosen)
        self._group.setExclusive(True)
        self._badge()

    def _badge(self) -> None:
        """The verdicts of this machine, or of the card that is planned for."""
        target = self._draft.around.told
        if target is None or target is self._machine:
            return
        self._machine = target
        for path, facts in self._facts.items():
            self._badger.want(path, facts, target, self.cards[path].set_pills)

    def _card(self, facts: ModelFacts) -> OptionCard:
        broken = models.errors(facts)
        text = f"{broken[0].text} {broken[0].fix}" if broken else describe(facts)
        card = OptionCard(facts.name, text, height=HEIGHT, pills_below=True)
        card.setEnabled(not broken)
        card.set_pills(badges(facts, None))
        card.clicked.connect(lambda _=False, path=facts.path: self.chosen.emit(path))
        self._group.addButton(card)
        return card


def describe(facts: ModelFacts) -> str:
    """Size, context length, licence and chat template in one line."""
    kind = facts.model_type.replace("_", " ").capitalize()
    parts = [
        f"{say.parameters(facts.parameters)} parameters",
        kind,
        f"{say.count(facts.context_length)} tokens" if facts.context_length else "",
        facts.licence,
        "chat template" if facts.has_chat_template else "no chat template",
    ]
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)
