"""One run: live while an engine is at work on it, and later just the same from its log."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QVBoxLayout

from studio.core import run_state
from studio.core.errors import StudioError
from studio.core.events import AnyEvent
from studio.core.facts import Machine
from studio.core.recipe import Recipe
from studio.core.run_state import RunState
from studio.core.wire import JobRow
from studio.library import runs
from studio.ui.pages.runs.activity import Activity
from studio.ui.pages.runs.buttons import RunButtons
from studio.ui.pages.runs.curves import Curves
from studio.ui.pages.runs.messages import RunMessages
from studio.ui.pages.runs.progress_card import ProgressCard
from studio.ui.pages.runs.samples import Samples
from studio.ui.pages.runs.saves import Saves, rule
from studio.ui.pages.runs.tiles import Tiles
from studio.ui.run_controller import RunController
from studio.ui.session import Session
from studio.ui.tables import runs as table
from studio.ui.tables.run_series import RunSeries
from studio.ui.widgets import Button, Heading, Page, Pill, row

REFRESH_MILLISECONDS = 100


class RunView(Page):
    """Everything here comes from the run's events, through one `RunState` and one `RunSeries`.

    Numbers are redrawn ten times a second at most, however fast events come.
    """

    left = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.folder: Path | None = None
        self.state = RunState()
        self.series = RunSeries()
        self._job = ""
        self._ending = ""
        self._recipe: Recipe | None = None
        self._saves = Saves()
        self.controller = RunController(session, self)
        self.buttons = RunButtons(self.controller)
        self.heading = Heading("", "", self.buttons)
        self.pill = Pill()
        self.heading.beside.addWidget(self.pill)
        self.back = Button("All runs", "link", "chevron-left")
        self.messages = RunMessages(session, self.controller)
        self.problem, self.made = self.messages.problem, self.messages.made
        self.progress = ProgressCard()
        self.tiles = Tiles()
        self.curves = Curves()
        self.samples = Samples()
        self.activity = Activity(session)
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.setInterval(REFRESH_MILLISECONDS)
        self._lay_out()
        self._connect()

    def open(self, folder: Path) -> None:
        """Show this run from its first event on."""
        if folder == self.folder:
            return
        self.close_run()
        self.folder = self.controller.folder = folder
        self.state, self.series = RunState(), RunSeries()
        self._job, self._ending, self._recipe = "", "", None
        self._saves = Saves()
        self.messages.open()
        self.to_top()
        self.curves.show_series(self.series)
        self.activity.open(folder)
        self.samples.open()
        self._session.background(
            runs.recipe_of,
            folder,
            done=lambda recipe: self._know_recipe(folder, recipe),
            failed=lambda error: self._refused(folder, error),
        )
        self._jobs_moved(self._session.jobs)
        self._refresh()
        self._watch()

    def close_run(self) -> None:
        """Look at nothing any more."""
        if self.folder and self._session.running:
            self._session.worker.unwatch(self.folder)
        self.folder = None

    def _lay_out(self) -> None:
        body: QVBoxLayout = self.body
        body.addLayout(row(self.back, None))
        for widget in (self.heading, self.messages, self.progress, self.tiles):
            body.addWidget(widget)
        body.addLayout(self.curves.first)
        body.addWidget(self.activity)
        body.addWidget(self.samples)
        body.addLayout(self.curves.second)
        body.addStretch(1)

    def _connect(self) -> None:
        self._due.timeout.connect(self._refresh)
        self.back.clicked.connect(self.left)
        self.controller.ending.connect(self._set_ending)
        self.controller.renamed.connect(lambda path: self.open(Path(path)))
        self.controller.deleted.connect(self.left)
        self._session.jobs_changed.connect(self._jobs_moved)
        if self._session.running:
            self._listen()
        self._session.started.connect(self._listen)
        self._session.machine_changed.connect(self._machine_moved)

    def _listen(self) -> None:
        self._session.worker.heard.connect(self._heard)
        self._session.worker.ended.connect(self._ended)
        self._watch()

    def _watch(self) -> None:
        if self.folder is not None and self._session.running:
            folder = self.folder
            self._session.worker.watch(folder, failed=lambda error: self._refused(folder, error))

    def _refused(self, folder: Path, error: StudioError) -> None:
        """The run can't be read, as one that a newer studio wrote."""
        if folder == self.folder:
            self.messages.refuse(error)
            self._refresh()

    def _heard(self, folder: str, found: list[AnyEvent]) -> None:
        if folder != str(self.folder):
            return
        self.state = run_state.replay(found, self.state)
        self.series.take(found)
        self.activity.take(found)
        self.samples.take(found)
        self.messages.take(found)
        self._saves.take(found)
        self._later()

    def _ended(self, folder: str) -> None:
        if folder == str(self.folder):
            self._job, self._ending = "", ""
            self._refresh()

    def _jobs_moved(self, jobs: list[JobRow]) -> None:
        """Whether an engine is at work: the keeper knows, also before the engine's first word."""
        mine = [job for job in jobs if self.folder and job.folder == str(self.folder)]
        self._job = mine[0].state if mine else ""
        if not mine:
            self._ending = ""
        self._later()

    def _machine_moved(self, machine: Machine) -> None:
        self._later()

    def _set_ending(self, how: str) -> None:
        self._ending = how
        self._refresh()

    def _know_recipe(self, folder: Path, recipe: Recipe) -> None:
        if folder == self.folder:
            self._recipe = recipe
            self._refresh()

    def _later(self) -> None:
        if self.isVisible() and not self._due.isActive():
            self._due.start()

    def showEvent(self, event: object) -> None:
        self._refresh()

    def hideEvent(self, event: object) -> None:
        self._due.stop()

    def _refresh(self) -> None:
        if self.folder is None:
            return
        machine = self._session.machine
        self._show_heading()
        self.messages.show_state(self.state, not self._job)
        self._show_progress()
        self.tiles.show_run(self.state, self.series, machine)
        self.curves.refresh(self.state, self.series, machine)
        self.activity.refresh()
        self.samples.refresh()
        self.buttons.show_state(self.state, "ending" if self._ending else self._job)

    def _show_progress(self) -> None:
        living = bool(self._job)
        training = self._recipe.training if self._recipe else None
        self.progress.show_state(self.state, living)
        words = self._saves.words(self.state, training, living)
        self.progress.show_saves(words, rule(training) if training else "")

    def _show_heading(self) -> None:
        assert self.folder is not None
        text, tone = table.pill(self.state, self._job)
        if self._ending and self.state.state in run_state.LIVING:
            text, tone = self._ending, "warn"
        self.pill.show_as(text, tone)
        began = self.state.started_at or self.state.created_at
        done = "started" if self.state.started_at else "created"
        when = f"{done} {table.when(began)}" if began else ""
        about = table.about(self._recipe) if self._recipe else ""
        self.heading.set_text(self.folder.name, "  ·  ".join(filter(None, (about, when))))
