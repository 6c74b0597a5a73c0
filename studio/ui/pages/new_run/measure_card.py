"""“Measure it”: real steps of the longest rows on this machine, beside the arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Signal

from studio.core.errors import StudioError
from studio.core.recipe import Recipe
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.measure_table import MeasureTable
from studio.ui.session import Session
from studio.ui.widgets import Button, Card, ElidedLabel, InlineMessage, ProgressBar, label, row

ABOUT = (
    "Takes a few real steps with the longest rows, an evaluation and a save, and keeps nothing. "
    "The next estimates on this machine are better for it."
)


def measure(
    home: Home,
    preparer: Any,
    recipe: Recipe,
    progress: Callable[[str, float | None], None],
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Measure on a thread; what the job finished with."""
    from studio.client import actions
    from studio.client.actions.jobs import cancelling, staged
    from studio.client.keeper import Keeper

    with Keeper.connect(home) as keeper:
        return actions.measure(
            home,
            recipe,
            keeper=keeper,
            preparer=preparer,
            progress=progress,
            hear=staged(progress),
            orders=cancelling(cancelled),
            cancelled=cancelled,
        )


class MeasureCard(Card):
    """The button, its progress, and what came of it part by part."""

    measured = Signal()
    """Something new is known about this machine."""

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__(spacing=12)
        self._session, self._draft = session, draft
        self._task: Task | None = None
        self._of: Recipe | None = None
        self.button = Button("Measure it", icon_name="activity")
        self.button.clicked.connect(self.begin)
        self.cancel_button = Button("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        self._doing = ElidedLabel("", "mute")
        self.bar = ProgressBar("Measuring")
        self.message = InlineMessage(closable=True)
        self.message.acted.connect(self.begin)
        self._about = label(ABOUT, "mute", wrap=True)
        self.stale = label("The settings have changed since this was measured.", "warn", wrap=True)
        self.table = MeasureTable()
        head = row(label("Memory and time", "h2"), None, self.cancel_button, self.button)
        self.add(head, self._about, self._doing, self.bar, self.message, self.table, self.stale)
        for part in (self.cancel_button, self._doing, self.bar, self.table, self.stale):
            part.hide()

    @property
    def busy(self) -> bool:
        """Whether a measurement is under way."""
        return self._task is not None

    def refresh(self) -> None:
        """Whether it can be measured now, and whether what is shown is still true."""
        ready = not self._draft.blocking and not self.busy
        self.button.setEnabled(ready)
        planned = self._draft.around.planned is not None
        self._about.setText(f"{ABOUT} It measures this machine's own card." if planned else ABOUT)
        self.stale.setVisible(self._of is not None and not _same(self._of, self._draft.recipe))

    def begin(self) -> None:
        """Measure the draft as it is now."""
        if self.busy or self._draft.blocking:
            return
        self.message.hide()
        recipe = self._draft.recipe
        self._progress("Starting", None)
        self._task = self._session.background(
            measure,
            self._session.home,
            self._session.preparer(),
            recipe,
            done=lambda result: self._done(recipe, result),
            failed=self._failed,
            progress=self._progress,
        )
        for part in (self.cancel_button, self._doing, self.bar):
            part.show()
        self.refresh()

    def cancel(self) -> None:
        """Give it up."""
        if self._task is not None:
            self._task.cancel()
            self._over()

    def _progress(self, text: str, share: float | None) -> None:
        self._doing.setText(text)
        self.bar.set_value(share)

    def _done(self, recipe: Recipe, result: dict[str, Any]) -> None:
        self._of = recipe
        self.table.show_result(result)
        self.table.show()
        self._over()
        peak = say.size(result["peak_bytes"])
        self._session.said.emit(f"Measured: {peak} at the peak", "ok")
        self.measured.emit()

    def _failed(self, error: StudioError) -> None:
        self._over()
        self.message.show_error(error, "Try again")

    def _over(self) -> None:
        self._task = None
        self.bar.set_value(0.0)
        for part in (self.cancel_button, self._doing, self.bar):
            part.hide()
        self.refresh()


def _same(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes take the same memory and time, as far as can be told: all but names."""
    return (one.model, one.dataset, one.method, one.lora, one.data, one.training) == (
        other.model,
        other.dataset,
        other.method,
        other.lora,
        other.data,
        other.training,
    )
