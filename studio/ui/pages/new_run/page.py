"""The wizard's frame: step header, the steps in any order, the fit panel, Back and Continue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.ui.pages.new_run import keeping, launching
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit import FitPanel
from studio.ui.pages.new_run.launching import Launcher
from studio.ui.pages.new_run.looking import ModelLooker, RowsLooker
from studio.ui.pages.new_run.measured_here import MeasuredHere
from studio.ui.pages.new_run.step import MODEL, REVIEW, STEPS, Step
from studio.ui.session import Session
from studio.ui.widgets import Button, InlineMessage, StepHeader, column, label, row


class NewRunPage(QWidget):
    """Edits one recipe, step by step in any order, and starts it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.draft = RecipeDraft(self)
        self._models = ModelLooker(session, self.draft)
        self._rows = RowsLooker(session, self.draft)
        self._measured = MeasuredHere(session, self.draft)
        self.launcher = Launcher(session, self)
        self._visited = {0}
        self._built: dict[int, Step] = {}
        self._touched = False
        self._lay_out()
        self._connect()
        self.go(0)

    def step(self, index: int) -> Step:
        """The step, built on its first visit."""
        if index not in self._built:
            made = STEPS[index].build(self.session, self.draft, self._rows)
            if STEPS[index] is REVIEW:
                made.asked.connect(self.go_to)  # type: ignore[attr-defined]
                made.measure.measured.connect(self._measured.look)  # type: ignore[attr-defined]
            self._built[index] = made
            self.stack.addWidget(made)
        return self._built[index]

    def go(self, index: int) -> None:
        """Show a step."""
        index = max(0, min(index, len(STEPS) - 1))
        self._visited.add(index)
        self.message.hide()
        shown = self.step(index)
        if shown is not self.stack.currentWidget():
            shown.verticalScrollBar().setValue(0)
        self.stack.setCurrentWidget(shown)
        if self.draft.step != index:
            self.draft.step = index
            self.draft.save_soon()
        shown.entered()
        self.refresh()

    def go_to(self, title: str) -> None:
        """Show the step of this title."""
        self.go([entry.title for entry in STEPS].index(title))

    def want_model(self, name: str) -> None:
        """Start from a model of the hub: chosen where it is on this machine, else fetched."""
        self.go(STEPS.index(MODEL))
        self.step(STEPS.index(MODEL)).want(name)  # type: ignore[attr-defined]

    def want_recipe(self, path: str) -> None:
        """Take the recipe in this file for the draft, and show it from the start."""
        self.session.background(
            keeping.recipe_data, Path(path), done=self._start_from, failed=self.message.show_error
        )

    def go_to_measure(self) -> None:
        """Show where it can be measured."""
        self.go(STEPS.index(REVIEW))
        shown = self.step(STEPS.index(REVIEW))
        card = shown.measure  # type: ignore[attr-defined]
        QTimer.singleShot(0, card, lambda: shown.ensureWidgetVisible(card))
        card.button.setFocus()

    def refresh(self) -> None:
        """Show where every step stands."""
        now = self.draft.step
        self.header.set_states([self._state(index) for index in range(len(STEPS))])
        self.back.setEnabled(now > 0 and not self.launcher.busy)
        last = now == len(STEPS) - 1
        self.forward.setVisible(not last)
        for button in (self.start, self.queue):
            button.setVisible(last)
            button.setEnabled(self._ready())

    # building

    def _lay_out(self) -> None:
        self.header = StepHeader([entry.title for entry in STEPS])
        self.header.asked.connect(self.go)
        self.stack = QStackedWidget()
        self.message = InlineMessage(closable=True)
        above = column(self.message)
        above.setContentsMargins(0, 0, 6, 0)
        left = column(self.header, 4, above, spacing=12)
        left.setContentsMargins(32, 26, 20, 0)
        left.addWidget(self.stack, 1)
        self.panel = FitPanel(self.session, self.draft)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addLayout(left, 1)
        middle.addWidget(self.panel)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(middle, 1)
        whole.addWidget(self._footer())

    def _footer(self) -> QFrame:
        footer = QFrame()
        footer.setObjectName("footer")
        self.back = Button("Back")
        self.back.clicked.connect(lambda: self.go(self.draft.step - 1))
        self.note = label("", "mute")
        self.forward = Button("Continue", "primary")
        self.forward.clicked.connect(lambda: self.go(self.draft.step + 1))
        self.cancel = Button("Cancel")
        self.cancel.clicked.connect(self._cancel)
        self.cancel.hide()
        self.start = Button("Start training", "primary", "play")
        self.start.clicked.connect(self.start_run)
        self.start.hide()
        tip = "It is prepared now and starts when its turn comes"
        self.queue = Button("Add to queue", "", "list", tip)
        self.queue.clicked.connect(lambda: self.enqueue())
        self.queue.hide()
        items = (self.back, None, self.note, self.cancel, self.forward, self.queue, self.start)
        line = row(*items, spacing=12)
        line.setContentsMargins(32, 14, 28, 14)
        footer.setLayout(line)
        return footer

    def _connect(self) -> None:
        self.draft.changed.connect(self.refresh)
        self.panel.measure.connect(self.go_to_measure)
        self.draft.edited.connect(self._was_touched)
        self.draft.save_wanted.connect(self._save)
        self.launcher.progressed.connect(self._progress)
        self.launcher.started.connect(self._started)
        self.launcher.queued.connect(self._queued)
        self.launcher.failed.connect(self._failed)
        self.session.machine_changed.connect(self._machine)
        self.session.settings_changed.connect(self._settings)
        if self.session.machine is not None:
            self._machine(self.session.machine)
        self.session.background(keeping.load, self.session.home, done=self._restore)

    # the draft

    def _restore(self, kept: dict[str, Any]) -> None:
        if self._touched or not kept:
            return
        self.draft.restore(kept)
        self._visited = set(range(self.draft.step + 1))
        self.note.setText("Draft from last time")
        self.go(self.draft.step)

    def _start_from(self, data: dict[str, Any]) -> None:
        self._touched = True
        self.draft.restore({"recipe": data, "method_chosen": True})
        self.draft.clear()
        self._visited = set(range(len(STEPS)))
        self.go(0)

    def _was_touched(self) -> None:
        self._touched = True
        self.note.setText("Saving the draft")

    def _save(self) -> None:
        task = self.session.write(keeping.save, self.session.home, self.draft.kept())
        task.over.connect(lambda: self.note.setText("Saved as a draft"))

    def _machine(self, machine: Machine) -> None:
        self.draft.know_machine(machine, self.session.settings.reserve_bytes)

    def _settings(self) -> None:
        if self.session.machine is not None:
            self._machine(self.session.machine)

    def _state(self, index: int) -> str:
        if index == self.draft.step:
            return "now"
        if index not in self._visited:
            return "todo"
        if any(STEPS[index].owns(problem) for problem in self.draft.blocking):
            return "problem"
        return "done" if index in self._built and self._built[index].complete() else "todo"

    # starting

    def start_run(self) -> None:
        """Prepare the run and hand it to the keeper; problems go to their fields."""
        if not self._ready():
            return
        training = [job.name for job in self.session.jobs if job.kind == "train"]
        answer = self.ask_first(training[0]) if training else "start"
        if answer == "queue":
            self.enqueue(run=True)
        elif answer == "start":
            self._begin()
            self.launcher.start(self.draft.recipe)
            self.refresh()

    def enqueue(self, run: bool = False) -> None:
        """Prepare the run and let it wait for its turn; `run` also starts the queue."""
        if self._ready():
            self._begin()
            self.launcher.enqueue(self.draft.recipe, run)
            self.refresh()

    def ask_first(self, name: str) -> str:
        """Another run is training: start, queue or "" (neither)."""
        return launching.ask(self, name)

    def _ready(self) -> bool:
        return not (self.launcher.busy or self.draft.blocking)

    def _begin(self) -> None:
        self.message.hide()
        self.cancel.show()

    def _progress(self, text: str, share: float | None) -> None:
        self.note.setText(text if share is None else f"{text}, {share:.0%}")

    def _started(self, folder: str) -> None:
        self._begin_anew()
        self.session.run_started.emit(folder)

    def _queued(self, folder: str) -> None:
        self._begin_anew()
        self.session.open_queue.emit()
        self.session.said.emit(f"“{Path(folder).name}” is in the queue", "ok")

    def _begin_anew(self) -> None:
        self._end("")
        self.draft.clear()
        self._visited = {0}
        self.go(0)

    def _failed(self, error: StudioError) -> None:
        self._end("")
        self.message.show_error(error)

    def _cancel(self) -> None:
        if self.launcher.cancel():
            self._end("Cancelled")

    def _end(self, note: str) -> None:
        self.note.setText(note)
        self.cancel.hide()
        self.refresh()
