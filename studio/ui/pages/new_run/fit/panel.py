"""The panel beside every step: what the run would take, part by part, on which card."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.memory import Estimate
from studio.ui import format as say
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.advice_lines import AdviceLines, FitButtons
from studio.ui.pages.new_run.fit.bar import FitBar
from studio.ui.pages.new_run.fit.card_chooser import CardChooser
from studio.ui.pages.new_run.fit.cost_lines import CostLines
from studio.ui.pages.new_run.fit.lines import FactLine
from studio.ui.pages.new_run.fit.parts import PartLines
from studio.ui.pages.new_run.fit.room import Room, room_of
from studio.ui.pages.new_run.fit.words import PHASES, VERDICTS
from studio.ui.session import Session
from studio.ui.widgets import Card, Pill, ScrollArea, Separator, label, row

WIDTH = 296
FACTS = ("Trains", "Steps", "Tokens per epoch")


class FitPanel(QWidget):
    """Redraws on every change of the draft, within a frame: nothing is built anew."""

    measure = Signal()
    """The user wants it measured."""

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self._said: dict[QWidget, Any] = {}
        self.setFixedWidth(WIDTH)
        self.setAccessibleName("Will it fit?")
        self._area = ScrollArea((0, 28, 28, 20))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._area)
        self._card = Card(margin=18, spacing=8)
        self._area.body.addWidget(self._card)
        self._area.body.addStretch(1)
        self._make(session)
        self._lay_out()
        draft.changed.connect(self.refresh)
        self.refresh()

    def _make(self, session: Session) -> None:
        self.pill = Pill()
        self.chooser = CardChooser(session, self._draft.around, self._draft.plan_for)
        self.number = label("", "num")
        self.room = label("", "sub")
        self.bar = FitBar()
        self.note = label("", "mute", wrap=True)
        self.parts = PartLines(session, self._draft)
        self.buttons = FitButtons(self._draft)
        self.advice = AdviceLines(self._draft)
        self.costs = CostLines()
        self._facts = {name: FactLine(name) for name in FACTS}
        self.bar.asked.connect(self.parts.open)
        self.parts.opened.connect(self._bring_into_view, Qt.ConnectionType.QueuedConnection)
        self.costs.measure.connect(self.measure)

    def _lay_out(self) -> None:
        self._line = Separator()
        head = row(label("Will it fit?", "h2"), None, self.pill)
        self._card.add(head, 2, self.chooser, 4)
        self._card.add(row(self.number, self.room, None, spacing=7), 1, self.bar, self.note)
        self._card.add(self.buttons, self.parts, self.advice, 2, self._line, 2, self.costs)
        self._card.body.addSpacing(-4)
        self._card.add(*self._facts.values())

    def refresh(self) -> None:
        """Show the draft's estimate as it is now."""
        draft, estimate = self._draft, self._draft.estimate
        known = estimate.expected_bytes > 0
        room = room_of(estimate, draft.around.target)
        self.chooser.refresh()
        self.bar.show_room(room)
        self.parts.show_room(room)
        self._say(self.number, say.size(estimate.expected_bytes) if known else "")
        self._say(self.room, _at_most(estimate, room) if known else "")
        self._say(self.note, self._note(estimate, room))
        self.buttons.refresh()
        self.advice.refresh()
        self.costs.show_costs(draft.costs, here=draft.around.planned is None)
        self._show_facts()
        verdict = VERDICTS[estimate.verdict]
        if self._said.get(self.pill) != verdict:
            self._said[self.pill] = verdict
            self.pill.show_as(*verdict)

    def _say(self, place: Any, text: str) -> None:
        """Set a label's text, where it is another one: a new text costs a layout."""
        if self._said.get(place) != text:
            self._said[place] = text
            place.setText(text)
            place.setVisible(bool(text))

    def _show_facts(self) -> None:
        draft, said = self._draft, dict[str, str]()
        if draft.learnt:
            said["Trains"] = f"{say.parameters(draft.learnt)} parameters"
        if steps := draft.steps():
            said["Steps"] = say.count(steps)
        if draft.report and draft.report.tokens:
            said["Tokens per epoch"] = say.count(draft.report.tokens)
        for name, line in self._facts.items():
            line.say(said.get(name, ""))
        known = any(said) or draft.costs is not None
        if self._line.isHidden() == known:
            self._line.setVisible(known)

    def _note(self, estimate: Estimate, room: Room) -> str:
        draft = self._draft
        if not estimate.expected_bytes:
            return _nothing(draft)
        free = f"{say.size(estimate.available_bytes)} are free for it. " if room.total else ""
        when = PHASES.get(estimate.peak_phase, "")
        peak = f" It takes most {when}." if when else ""
        if draft.ratio == 1.0:
            return f"{free}An estimate, not a measurement.{peak}"
        return f"{free}Calibrated on this machine: measured {draft.ratio:.2f} times as much.{peak}"

    def _bring_into_view(self, sheet: QWidget) -> None:
        self._area.ensureWidgetVisible(sheet, 0, 12)


def _at_most(estimate: Estimate, room: Room) -> str:
    """The upper bound, context and all, against the memory there is."""
    most = say.size(estimate.needed_bytes)
    if not room.total:
        return f"at most {most}"
    unit = most.split()[1]
    of = say.whole(room.total)
    return f"at most {most.split()[0] if of.endswith(unit) else most} of {of}"


def _nothing(draft: RecipeDraft) -> str:
    """Why there is nothing to show yet."""
    if not draft.model_path:
        return "Choose a model to see the memory it would take, part by part."
    if draft.model is None:
        problem = draft.model_problem
        if problem is not None:
            return "What this model takes shows when it is on this machine."
        return "Reading the model."
    if draft.model.config.get("quantization_config"):
        return " ".join(draft.estimate.advice)
    return (
        "This kind of model isn't one that the studio can reckon with. Measure it on the Review "
        "step to see what it takes."
    )
