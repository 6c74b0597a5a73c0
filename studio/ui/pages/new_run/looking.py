"""Finds out about the draft's model and rows in the background, whenever they change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from studio.core.errors import StudioError
from studio.core.facts import DatasetReport, Example, FirstRows, ModelFacts
from studio.core.problem import Problem
from studio.core.recipe import DataPart, DatasetPart, ModelPart
from studio.library import models
from studio.library.folders import Home
from studio.library.hub_datasets import hub_id
from studio.ui.background import Task
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.session import Session

WAIT = 250
"""Milliseconds after the last change until the rows are read anew."""
AT_ONCE = 10
"""Rows of the token lens fetched together."""


def facts_of(home: Home, part: ModelPart) -> ModelFacts:
    """The facts of the model a recipe names; StudioError where it isn't on this machine."""
    return models.inspect(models.resolve(home, part))


class ModelLooker(QObject):
    """Keeps `draft.model` true to the chosen model."""

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__(draft)
        self._session, self._draft = session, draft
        self._task: Task | None = None
        draft.model_changed.connect(self.look)

    def look(self) -> None:
        """Inspect the chosen model."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        part = self._draft.recipe.model
        if not part.path:
            self._draft.know_model(None)
            return
        self._task = self._session.background(
            facts_of, self._session.home, part, done=self._found, failed=self._missing
        )

    def _found(self, facts: ModelFacts) -> None:
        self._task = None
        self._draft.know_model(facts)

    def _missing(self, error: StudioError) -> None:
        self._task = None
        if self._draft.is_starter:
            text = "The starter model is fetched before the run starts (about 100 MB)."
            problem = Problem(field="model", text=text, severity="info")
        else:
            problem = Problem(field="model", text=error.text, fix=error.fix)
        self._draft.know_model(None, problem)


class RowsLooker(QObject):
    """Keeps `draft.report` true to the chosen datasets, and fetches rows to look at."""

    began = Signal()
    progressed = Signal(str, object)
    ended = Signal()
    renewed = Signal()
    """What rows look like as tokens has changed: those shown are to be asked for again."""
    examples = Signal(int, list)
    """The place of the first (from 0), and core.facts.Example each."""
    no_examples = Signal(object)
    """StudioError: why the lens stays empty."""
    first_rows = Signal(object, object)
    """core.recipe.DatasetPart, and its core.facts.FirstRows."""

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__(draft)
        self._session, self._draft = session, draft
        self._task: Task | None = None
        self._peek: Task | None = None
        self._asked: tuple[object, ...] = ()
        self._fetched: set[tuple[str | None, ...]] = set()
        self._waiting: DatasetPart | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT)
        self._timer.timeout.connect(self.look)
        draft.rows_changed.connect(self._changed)

    @property
    def busy(self) -> bool:
        """Whether the rows are being read, or are about to be."""
        return self._task is not None or self._timer.isActive()

    def look(self) -> None:
        """Read the rows anew, unless nothing they depend on has changed."""
        question = self._question()
        if question == self._asked and (self._draft.report or self._task):
            return
        self.cancel()
        self._asked = question
        if not self._draft.recipe.dataset:
            self._draft.know_dataset(None)
            self.ended.emit()
            return
        self.began.emit()
        if self._here(*self._draft.recipe.dataset):
            self.renewed.emit()  # asked first: a few rows are there long before the report
        self._task = self._session.prepare(
            inspect_rows,
            *question,
            done=self._found,
            failed=self._failed,
            progress=self.progressed.emit,
        )

    def again(self) -> None:
        """Read the rows anew though nothing was chosen anew: their file has changed."""
        self._asked = ()
        self._draft.report = None
        self.look()

    def give_up(self) -> None:
        """Stop reading because the user said so, and say that the rows aren't known."""
        self.cancel()
        fix = "Press Try again, or remove the dataset."
        self._draft.know_dataset(
            None, Problem(field="dataset", text="Reading the rows was cancelled.", fix=fix)
        )

    def cancel(self) -> None:
        """Drop what is being read."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.ended.emit()
        self._asked = ()

    def want_examples(self, start: int) -> None:
        """Fetch rows from the `start`-th on (from 0) for the token lens."""
        parts, folder, data, _ = question = self._question()
        if folder is None or not parts or not self._here(*parts):
            return

        def done(found: list[Example]) -> None:
            if question == self._question():
                self.examples.emit(start, found)

        def failed(error: StudioError) -> None:
            if question == self._question():
                self.no_examples.emit(error)

        self._session.prepare(some_examples, parts, folder, data, start, done=done, failed=failed)

    def want_first(self, part: DatasetPart) -> None:
        """Fetch the first rows of a dataset as its file has them; the last wish counts."""
        if self._peek is not None:
            self._peek.cancel()
        self._waiting = None if self._here(part) else part
        if self._waiting is not None:
            return
        self._peek = self._session.prepare(
            peek, part, done=lambda found: self.first_rows.emit(part, found), failed=_untold
        )

    def _changed(self) -> None:
        """Whatever is being read is out of date: the preparer is free for what is asked next."""
        if self._task is not None and self._question() != self._asked:
            self.cancel()
        self._timer.start()

    def _question(self) -> tuple[tuple[DatasetPart, ...], Path | None, DataPart, int]:
        facts, recipe = self._draft.model, self._draft.recipe
        usable = facts is not None and not models.errors(facts)
        folder = Path(facts.path) if facts is not None and usable else None
        return recipe.dataset, folder, recipe.data, recipe.training.seed

    def _here(self, *parts: DatasetPart) -> bool:
        """Whether they need no download, which only the report may begin: it shows how far it is
        and can be cancelled."""
        return all(_origin(part) in self._fetched or not hub_id(part) for part in parts)

    def _found(self, report: DatasetReport) -> None:
        self._task = None
        parts = self._draft.recipe.dataset
        late = not self._here(*parts)
        self._fetched |= {_origin(part) for part in parts}
        self._draft.know_dataset(report)
        self.ended.emit()
        if late:
            self.renewed.emit()
        if self._waiting is not None:
            self.want_first(self._waiting)

    def _failed(self, error: StudioError) -> None:
        self._task = None
        problem = Problem(field="dataset", text=error.text, fix=error.fix)
        own = [p for p in error.problems if p.field.startswith("data.")]
        self._draft.know_dataset(None, own[0] if own else problem)
        self.ended.emit()


def _origin(part: DatasetPart) -> tuple[str | None, ...]:
    return part.path, part.config, part.split, part.revision


def _untold(error: StudioError) -> None:
    """The report, which is asked for as well, says it better."""


def peek(preparer: Any, part: DatasetPart, cancelled: Any) -> FirstRows:
    """Ask the preparer for the first rows of a dataset."""
    found: FirstRows = preparer.peek(part, cancelled=cancelled)
    return found


def inspect_rows(
    preparer: Any,
    parts: tuple[DatasetPart, ...],
    model: Path | None,
    data: DataPart,
    seed: int,
    progress: Any,
    cancelled: Any,
) -> DatasetReport:
    """Ask the preparer for the report of these rows."""
    found: DatasetReport = preparer.inspect(
        parts, model, data, on_progress=progress, cancelled=cancelled, seed=seed
    )
    return found


def some_examples(
    preparer: Any,
    parts: tuple[DatasetPart, ...],
    model: Path,
    data: DataPart,
    start: int,
    cancelled: Any,
) -> list[Example]:
    """Ask the preparer for a few rows, token by token."""
    found: list[Example] = preparer.examples(
        parts, model, data, start=start, count=AT_ONCE, cancelled=cancelled
    )
    return found
