"""What every step of the wizard is: a scrolling column under a title; and which steps there are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from studio.core.problem import Problem
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.looking import RowsLooker
from studio.ui.session import Session
from studio.ui.widgets import Heading, ScrollArea


class Step(ScrollArea):
    """One step. It shows the draft while it is in view, and asks it to change."""

    heading = ""
    text = ""

    def __init__(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> None:
        super().__init__((0, 0, 6, 24), spacing=16)
        self.session, self.draft, self.rows = session, draft, rows
        self.setAccessibleName(self.heading)
        self.body.addWidget(Heading(self.heading, self.text))
        draft.changed.connect(self._on_changed)

    def complete(self) -> bool:
        """Whether the step has all it needs (problems aside)."""
        return True

    def refresh(self) -> None:
        """Show the draft as it is now. Called while the step is in view."""

    def entered(self) -> None:
        """Called whenever the step comes into view."""
        self.refresh()

    def _on_changed(self) -> None:
        if self.isVisible():
            self.refresh()


@dataclass(frozen=True)
class StepEntry:
    """One step: its title, the recipe fields whose problems belong to it, and its class."""

    title: str
    fields: tuple[str, ...]
    where: str

    def owns(self, problem: Problem) -> bool:
        """Whether a problem belongs to this step."""
        return any(
            problem.field == field or problem.field.startswith((f"{field}.", f"{field}["))
            for field in self.fields
        )

    def build(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> Step:
        """Import and make it, on the first visit."""
        module, name = self.where.split(":")
        made: Step = getattr(import_module(module), name)(session, draft, rows)
        return made


_HERE = "studio.ui.pages.new_run"
MODEL = StepEntry("Model", ("model",), f"{_HERE}.model_step:ModelStep")
DATASET = StepEntry(
    "Dataset",
    (
        "dataset",
        "data.max_length",
        "data.train_on",
        "data.eval_share",
        "data.template",
        "data.system_prompt",
        "data.group_by",
        "data.drop",
        "data.repair",
    ),
    f"{_HERE}.dataset_step:DatasetStep",
)
METHOD = StepEntry("Method", ("method", "lora"), f"{_HERE}.method_step:MethodStep")
HYPER = StepEntry("Hyperparameters", ("training", "data.packing"), f"{_HERE}.hyper_step:HyperStep")
REVIEW = StepEntry("Review", ("name",), f"{_HERE}.review_step:ReviewStep")
STEPS = (MODEL, DATASET, METHOD, HYPER, REVIEW)
