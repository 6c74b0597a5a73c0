"""What a run has to say above its numbers: trouble, why it waits, warnings, what was made."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core import events as ev
from studio.core.errors import StudioError
from studio.core.run_state import RunState
from studio.ui import reasons
from studio.ui.pages.runs.activity import words
from studio.ui.run_controller import RunController
from studio.ui.session import Session
from studio.ui.widgets import InlineMessage

LINES = 3
MADE_ADAPTER = (
    "The adapter is in the Library",
    "Chat with it beside the model it started from, or merge both into one model.",
    "",
    "ok",
    "Open the Library",
)
MADE_MODEL = ("The new model is ready", "Chat with it, or choose it for another run.", "", "ok")


class RunMessages(QWidget):
    """One banner for each kind; those without anything to say are hidden."""

    def __init__(self, session: Session, controller: RunController) -> None:
        super().__init__()
        self._session, self._controller = session, controller
        self._state = RunState()
        self._warnings: list[str] = []
        self._unseen = False
        self._refused: StudioError | None = None
        self.problem = InlineMessage()
        self.paused = InlineMessage()
        self.paused.acted.connect(lambda: controller.resume(self._state))
        self.paused.declined.connect(controller.keep_paused)
        self.warned = InlineMessage(closable=True)
        self.made = InlineMessage()
        self.made.acted.connect(lambda: session.open_page.emit("library"))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(12)
        for message in (self.problem, self.paused, self.warned, self.made):
            box.addWidget(message)
        self.hide()

    def open(self) -> None:
        """Begin with another run."""
        self._warnings = []
        self._refused = None
        for message in (self.problem, self.paused, self.warned, self.made):
            message.hide()

    def refuse(self, error: StudioError) -> None:
        """The run can't be read: say why."""
        self._refused = error

    def take(self, found: Iterable[ev.AnyEvent]) -> None:
        """Keep the warnings of the present attempt; shown by `show_state`."""
        for event in found:
            if isinstance(event, ev.Started):
                self._warnings = []
                self._unseen = True
            elif text := _warning(event):
                self._warnings.append(text)
                self._unseen = True

    def show_state(self, state: RunState, over: bool) -> None:
        """Show what holds now; `over`: no engine is at work on the run."""
        self._state = state
        _show(self.problem, *(self._wrong(state) if over else ()))
        _show(self.paused, *(self._why_paused(state) if over else ()))
        self._show_warnings()
        adapter, model = state.result.get("adapter"), state.result.get("model")
        made = MADE_ADAPTER if adapter else MADE_MODEL if model else ()
        _show(self.made, *(made if over else ()))
        shown = (self.problem, self.paused, self.warned, self.made)
        self.setVisible(any(not message.isHidden() for message in shown))

    def _wrong(self, state: RunState) -> tuple[str, ...]:
        if state.title:
            return state.title, state.text, state.fix
        error = self._refused
        return (error.title, error.text, error.fix) if error else ()

    def _why_paused(self, state: RunState) -> tuple[str, ...]:
        if state.state != "paused" or not state.pause_reason:
            return ()
        text = reasons.text(state.pause_reason, self._session.settings.guard.hours)
        answers = ("Resume now", "Keep paused") if reasons.waits(state) else ("Resume", "")
        return reasons.headline(state), text, "", "warn", *answers

    def _show_warnings(self) -> None:
        if not self._unseen:
            return
        self._unseen = False
        count = len(self._warnings)
        if not count:
            self.warned.hide()
            return
        title = "Warning" if count == 1 else f"{count} warnings"
        more = "\nThe activity below lists them all." if count > LINES else ""
        text = "\n".join(self._warnings[-LINES:])
        self.warned.show_message(title, f"{text}{more}", "", "warn")


def _warning(event: ev.AnyEvent) -> str:
    """What a warning of the run says, as a sentence; "" for any other event."""
    if isinstance(event, ev.Note):
        return event.text if event.severity in ("warning", "error") else ""
    if isinstance(event, ev.Rescued | ev.RolledBack) and (line := words(event)):
        return f"{line[0][:1].upper()}{line[0][1:].rstrip('.')}."
    return ""


def _show(message: InlineMessage, *said: str) -> None:
    """Show these words, or nothing without any; a message that stands is left alone."""
    if not said:
        message.hide()
    elif message.isHidden() or message.title() != said[0]:
        message.show_message(*said)
