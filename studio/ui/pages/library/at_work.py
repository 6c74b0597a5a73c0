"""One job of the library under the keeper, as the window sees it."""

from __future__ import annotations

from PySide6.QtCore import QObject

from studio.library.adapters import AdapterFacts
from studio.ui.following import Following
from studio.ui.session import Session


class AtWork(Following):
    """What is done with an adapter. It goes on under the keeper when the window is closed."""

    def __init__(self, session: Session, facts: AdapterFacts, what: str, parent: QObject) -> None:
        super().__init__(session, what, parent)
        self.facts = facts
