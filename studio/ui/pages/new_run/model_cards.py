"""Models on this machine as cards, each with a badge for each method."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QVBoxLayout, QWidget

from studio.core import advice, memory
from studio.core.facts import Machine, ModelFacts
from studio.core.recipe import Method
from studio.library import models
from studio.ui import format as say
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.words import VERDICTS
from studio.ui.widgets import OptionCard, clear, column
from studio.ui.widgets.flow import AdaptiveGrid

SHORT: dict[Method, str] = {"lora": "LoRA", "qlora": "QLoRA", "full": "Full"}
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

    def show_models(self, found: Sequence[ModelFacts]) -> None:
        """Replace the cards."""
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
        """Mark the chosen one, and renew the badges where the machine's memory changed."""
        chosen = self._draft.model.path if self._draft.model else self._draft.model_path
        self._group.setExclusive(False)
        for path, card in self.cards.items():
            card.setChecked(path == chosen)
        self._group.setExclusive(True)
        if self._draft.machine is not None and self._draft.machine is not self._machine:
            self._machine = self._draft.machine
            for path, facts in self._facts.items():
                self.cards[path].set_pills(badges(facts, self._machine))

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


def badges(facts: ModelFacts, machine: Machine | None) -> list[tuple[str, str]]:
    """(text, tone) for each method: fits, tight or won't fit."""
    if models.errors(facts):
        return [("Can't be used", "err")]
    if machine is None:
        return []
    verdicts = advice.recommend(facts, machine).verdicts
    return [badge(method, verdicts[method]) for method in SHORT if verdicts[method] != "unknown"]


def badge(method: Method, verdict: memory.Verdict) -> tuple[str, str]:
    """One method's badge: LoRA fits, Full won't fit."""
    said, tone = VERDICTS[verdict]
    return f"{SHORT[method]} {said.lower()}", tone
