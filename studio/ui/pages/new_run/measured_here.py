"""What was measured on this machine, read in the background and told to the draft."""

from __future__ import annotations

from PySide6.QtCore import QObject

from studio.core.calibration import Calibration
from studio.core.speed import Speed
from studio.library import calibrations, speeds
from studio.library.folders import Home
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.session import Session

Kept = tuple[tuple[Calibration, ...], tuple[Speed, ...]]


def kept(home: Home) -> Kept:
    """Ratios and speeds; none where nothing was measured."""
    return calibrations.kept(home), speeds.kept(home)


class MeasuredHere(QObject):
    """Looks at the start, and whenever a run or a measurement has ended."""

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__(draft)
        self._session, self._draft = session, draft
        session.library_changed.connect(self.look)
        self.look()

    def look(self) -> None:
        """Read what is kept, off the window's thread."""
        self._session.background(kept, self._session.home, done=self._found)

    def _found(self, found: Kept) -> None:
        self._draft.know_measured(*found)
