"""How a row is written for the model: chat template, system prompt, and what is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QFileDialog

from studio.core.facts import ModelFacts, TemplateChoice
from studio.core.problem import Problem
from studio.library.chat_templates import MARKS
from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.findings_card import told
from studio.ui.session import Session
from studio.ui.widgets import Card, ComboBox, Field, LineEdit, label
from studio.ui.widgets.flow import AdaptiveGrid

TRAIN_ON = [
    ("assistant", "Answers"),
    ("last", "The last answer"),
    ("everything", "Every token"),
]
NAMES = {
    "chatml": "ChatML",
    "llama-3": "Llama 3",
    "mistral": "Mistral",
    "gemma": "Gemma",
    "phi": "Phi",
    "qwen": "Qwen",
}
FILE = "\0file"
FILTERS = "Chat templates (*.jinja *.jinja2 *.j2)"
FIELD = "data.template"


def choice_of(preparer: Any, model: Path, name: str) -> TemplateChoice:
    """Ask the preparer how a template writes a short chat for a model."""
    found: list[TemplateChoice] = preparer.templates(model, name)
    return found[0]


class WritingCard(Card):
    """Writes data.template, data.system_prompt and data.train_on."""

    def __init__(self, session: Session, draft: RecipeDraft, form: Form) -> None:
        super().__init__(spacing=14)
        self._session, self._draft = session, draft
        self._looked: tuple[str, str] = ("", "")
        self._trouble: tuple[Problem, ...] = ()
        self.template = ComboBox("Chat template")
        self.template.chosen.connect(self._choose)
        self._field = Field("Chat template", self.template, "", FIELD)
        self.system = LineEdit("System prompt", placeholder="None")
        system = form.text(
            "data.system_prompt", "System prompt", self.system, "For rows that have none"
        )
        self.train_on = form.choice("data.train_on", "Learn", TRAIN_ON, "Which tokens are trained")
        self.add(label("How rows are written", "h2"))
        self.add(AdaptiveGrid(3, 150, self._field, system, self.train_on, spacing=16))

    def refresh(self) -> None:
        """Show the template in force and what is wrong with it."""
        name, model = self._draft.recipe.data.template, self._draft.model
        self.template.set_choices(_choices(name, model))
        self.template.set_value(name)
        if model is not None and self._looked != (model.path, name):
            self._looked = (model.path, name)
            self._trouble = ()
            self._session.prepare(
                choice_of, Path(model.path), name, done=self._judge, failed=lambda _: None
            )
        self._show()

    def _judge(self, found: TemplateChoice) -> None:
        if found.name != self._draft.recipe.data.template:
            return
        own = "The model's own template. Change it only for a model without one."
        self._field.set_hint(own if not found.name else "")
        if found.problem:
            fix = "Choose another template."
            trouble = Problem(field=FIELD, text=found.problem, fix=fix, severity="error")
            self._trouble = (trouble,)
        elif found.missing:
            text = f"The model has no {', '.join(found.missing)}: it reads them as letters."
            trouble = Problem(field=FIELD, text=text, severity="warning")
            self._trouble = (trouble,)
        self._show()

    def _show(self) -> None:
        said = [p for p in self._draft.problems_of(FIELD) if not told(self._draft.report, p)]
        self._field.show_problems(said or self._trouble)

    def _choose(self, name: str) -> None:
        if name == FILE:
            name = QFileDialog.getOpenFileName(self, "Choose a chat template", "", FILTERS)[0]
            if not name:
                self.refresh()
                return
        self._draft.set(FIELD, name)


def _choices(name: str, model: ModelFacts | None) -> list[tuple[str, str]]:
    own = (
        "ChatML (the model has none)"
        if model and not model.has_chat_template
        else "The model's own"
    )
    found = [("", own), *((key, NAMES.get(key, key.capitalize())) for key in MARKS)]
    if name and name not in MARKS:
        found.append((name, Path(name).name))
    return [*found, (FILE, "From a file")]
