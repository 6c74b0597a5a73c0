"""The wizard's frame."""

from __future__ import annotations

from studio.ui.session import Session
from studio.ui.widgets import Heading, Page


class NewRunPage(Page):
    """Edits one recipe, step by step in any order, and starts it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.body.addWidget(Heading("New run", "Choose a model, a dataset and a method."))
        self.body.addStretch(1)
