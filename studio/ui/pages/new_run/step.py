"""What every step of the wizard is: a scrolling column under a title."""

from __future__ import annotations

from studio.core.problem import Problem
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.session import Session
from studio.ui.widgets import Heading, ScrollArea


class Step(ScrollArea):
    """One step. `prefixes` are the beginnings of recipe fields whose problems belong to it."""

    title = ""
    prefixes: tuple[str, ...] = ()

    def __init__(self, session: Session, draft: RecipeDraft, heading: str, text: str) -> None:
        super().__init__((0, 0, 6, 24), spacing=16)
        self.session, self.draft = session, draft
        self.setAccessibleName(heading)
        self.body.addWidget(Heading(heading, text))

    @classmethod
    def owns(cls, problem: Problem) -> bool:
        """Whether a problem belongs to this step."""
        return any(
            problem.field == prefix or problem.field.startswith((f"{prefix}.", f"{prefix}["))
            for prefix in cls.prefixes
        )

    def complete(self) -> bool:
        """Whether the step has all it needs (problems aside)."""
        return True

    def entered(self) -> None:
        """Called whenever the step comes into view."""
