"""Step 5: the whole recipe, its file, what is wrong with it, and Start."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout

from studio.core.advice import NAMES
from studio.core.recipe import learning_rate, to_yaml
from studio.library.folders import legal_name
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.pages.new_run import keeping
from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.looking import RowsLooker
from studio.ui.pages.new_run.measure_card import MeasureCard
from studio.ui.pages.new_run.step import Step
from studio.ui.pages.new_run.wording import label_of
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    LineEdit,
    ProblemList,
    Separator,
    clear,
    label,
    row,
)


class ReviewStep(Step):
    """Shows it all once more. `asked` wants to go to a step (its title)."""

    heading = "Review and start"
    text = "You can stop at any time and keep what was learnt."

    asked = Signal(str)

    def __init__(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> None:
        super().__init__(session, draft, rows)
        self.form = Form(draft)
        self.name = LineEdit("Name of the run", placeholder="Named after model and method")
        self._summary = Card(spacing=13)
        self._lines = QVBoxLayout()
        self._lines.setSpacing(13)
        field = self.form.text("name", "Name of the run", self.name)
        self._summary.add(field, Separator(), self._lines)
        self.body.addWidget(self._summary)
        self._findings = Card(spacing=10)
        self.body.addWidget(self._findings)
        self.measure = MeasureCard(session, draft)
        self.body.addWidget(self.measure)
        self._recipe_card()
        self.body.addStretch(1)

    def complete(self) -> bool:
        return False  # there is always something to do here: start

    def _recipe_card(self) -> None:
        card = Card(spacing=10)
        self.save = Button("Save as file", icon_name="save")
        self.save.clicked.connect(self._save)
        self.yaml = QPlainTextEdit()
        self.yaml.setReadOnly(True)
        self.yaml.setProperty("mono", "true")
        self.yaml.setAccessibleName("The recipe as a file")
        self.yaml.setMinimumHeight(190)
        card.add(row(label("The recipe", "h2"), None, self.save))
        card.add(label("The same run from a terminal: finetune-studio train FILE", "mute"))
        card.add(self.yaml)
        self.body.addWidget(card)

    def refresh(self) -> None:
        clear(self._lines)
        for index, (step, title, value, detail) in enumerate(summary(self.draft)):
            if index:
                self._lines.addWidget(Separator())
            self._lines.addLayout(self._line(step, title, value, detail))
        self._show_findings()
        self.measure.refresh()
        text = to_yaml(self.draft.recipe)
        if self.yaml.toPlainText() != text:
            self.yaml.setPlainText(text)
        self.form.refresh()

    def _line(self, step: str, title: str, value: str, detail: str) -> QHBoxLayout:
        name = label(title, "sub")
        name.setFixedWidth(120)
        edit = Button("Edit", "link")
        edit.setAccessibleName(f"Edit {title.lower()}")
        edit.clicked.connect(lambda: self.asked.emit(step))
        line = row(
            name,
            ElidedLabel(value, "b"),
            ElidedLabel(detail, "mute", Qt.TextElideMode.ElideRight),
            spacing=12,
        )
        line.setStretch(2, 1)
        line.addWidget(edit)
        return line

    def _show_findings(self) -> None:
        clear(self._findings.body)
        found = self.draft.problems
        blocking = len(self.draft.blocking)
        if blocking:
            words = (
                "1 problem to fix first" if blocking == 1 else f"{blocking} problems to fix first"
            )
            head = (IconLabel("error", "err", 18), label(words, "h2"))
        elif warned := sum(problem.severity == "warning" for problem in found):
            words = "1 warning" if warned == 1 else f"{warned} warnings"
            head = (IconLabel("alert", "warn", 18), label(f"Ready to start, with {words}", "h2"))
        else:
            head = (IconLabel("check-circle", "ok", 18), label("Ready to start", "h2"))
        self._findings.add(row(*head, None, spacing=10))
        listed = ProblemList(limit=10)
        listed.show_problems(found, lambda problem: label_of(problem.field))
        self._findings.add(listed)
        if not found:
            self._findings.add(label("No problems found.", "sub"))

    def _save(self) -> None:
        name = legal_name(self.draft.recipe.name, "recipe")
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save the recipe", str(Path.home() / f"{name}.yaml"), "Recipes (*.yaml)"
        )
        if chosen:
            self.session.background(
                keeping.save_recipe,
                Path(chosen),
                to_yaml(self.draft.recipe),
                done=lambda path: self.session.said.emit(f"Saved as {path.name}", "ok"),
            )


def summary(draft: RecipeDraft) -> list[tuple[str, str, str, str]]:
    """(step, title, value, detail) for each line of the review."""
    recipe, training = draft.recipe, draft.recipe.training
    model = draft.model.name if draft.model else recipe.model.path
    model_detail = f"{say.parameters(draft.model.parameters)} parameters" if draft.model else ""
    part = draft.dataset_part
    rows = f"{say.count(draft.report.usable_rows)} rows" if draft.report else ""
    held_out = f"{say.share(recipe.data.eval_share)} held out" if recipe.data.eval_share else ""
    rank = f"rank {recipe.lora.rank}" if recipe.method != "full" else ""
    steps = draft.steps()
    length = f"{training.epochs:g} epochs" + (f", {say.count(steps)} steps" if steps else "")
    rate = f"learning rate {say.rate(learning_rate(recipe))}"
    return [
        ("Model", "Model", model or "Not chosen", model_detail),
        ("Dataset", "Dataset", _dataset(part.path) if part else "Not chosen",
         ", ".join(x for x in (rows, held_out) if x)),
        ("Dataset", "Rows", f"up to {say.count(recipe.data.max_length)} tokens",
         {"assistant": "learns the answers", "last": "learns the last answer",
          "everything": "learns every token"}[recipe.data.train_on]),
        ("Method", "Method", NAMES[recipe.method], rank),
        ("Hyperparameters", "Length", length, f"batch {training.batch_size}, {rate}"),
    ]  # fmt: skip


def _dataset(path: str) -> str:
    return "The sample dataset" if path == "sample" else Path(path).name or path
