"""What the window's buttons do to a run; each has its twin on the command line."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from studio.core import commands
from studio.core.commands import AnyCommand
from studio.core.run_state import RunState
from studio.library import adapters, runs
from studio.library.folders import Home
from studio.ui.session import Session
from studio.ui.widgets import ConfirmDialog, NameDialog

ENDS = {"stop": "Stopping", "pause": "Pausing", "cancel": "Cancelling"}


class RunController(QObject):
    """Acts on one run at a time, `folder`; errors are shown by the session."""

    changed = Signal()
    """The files of a run changed: it was renamed or deleted."""
    deleted = Signal()
    renamed = Signal(str)
    """The run that was acted on lies in this folder now."""
    ending = Signal(str)
    """The end was asked for; how, in a word for the pill."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._window = window
        self.folder = Path()
        self.dialog: ConfirmDialog | None = None

    def stop(self) -> None:
        """Finish the step, keep what was learnt, end."""
        self._end("stop", commands.Stop())

    def pause(self) -> None:
        """Save a checkpoint, give the memory back."""
        self._end("pause", commands.Pause())

    def keep_paused(self) -> None:
        """A run that waits doesn't go on by itself any more."""
        self._tell(commands.Pause(), "It stays paused until you resume it.")

    def cancel(self) -> None:
        """End and keep nothing, after a question."""
        sure = self._asks(
            ConfirmDialog(
                self._window,
                "Cancel this run?",
                "It ends at once. What it has learnt since its last checkpoint is lost, and no "
                "adapter is saved. “Stop and keep” saves one.",
                [("cancel", "Cancel the run", "danger"), ("stop", "Stop and keep", "primary")],
                cancel="Go on training",
                icon_name="alert",
            )
        )
        if sure == "stop":
            self.stop()
        elif sure == "cancel":
            self._end("cancel", commands.Cancel())

    def save(self) -> None:
        """Save a checkpoint and go on."""
        self._tell(commands.Save(), "A checkpoint is saved after this step.")

    def sample(self) -> None:
        """Answer the fixed prompts and go on."""
        self._tell(commands.Sample(), "The prompts are answered after this step.")

    def resume(self, state: RunState) -> None:
        """Take the run up where it ended; a new one starts."""
        job = commands.Train(resume=state.state != "created")
        folder = str(self.folder)
        self._session.worker.start_job(folder, job, failed=self._session.failed.emit)

    def queue_words(self) -> str:
        """What `queue` would do now."""
        queued = self.folder.name in self._session.queue.waiting
        return "Take out of the queue" if queued else "Add to queue"

    def queue(self) -> None:
        """Put the run at the end of the queue, or take it out of it."""
        worker, said = self._session.worker, self._session.said
        if self.folder.name in self._session.queue.waiting:
            worker.queue_remove(self.folder)
        else:
            worker.queue_add(self.folder, done=lambda: said.emit("Added to the queue", "ok"))

    def chat(self, state: RunState) -> None:
        """Open a conversation with what the run made."""
        self._session.background(
            _conversation,
            self._session.home,
            dict(state.result),
            done=lambda found: self._session.open_chat.emit(*found),
        )

    def rename(self) -> None:
        """Ask for another name, and give it to the run's folder."""
        name = self._asks(
            NameDialog(
                self._window,
                "Rename run",
                "The run's folder gets this name. Adapters made from it keep theirs.",
                self.folder.name,
                "Rename",
            )
        )
        if name and name != self.folder.name:
            self._session.background(
                runs.rename, self._session.home, self.folder, name, done=self._renamed
            )

    def delete(self) -> None:
        """Move the run to the trash, after a question."""
        sure = self._asks(
            ConfirmDialog(
                self._window,
                "Delete this run?",
                f"“{self.folder.name}” with its log and checkpoints goes to the studio's trash. "
                "Adapters in the library stay.",
                [("delete", "Delete", "danger")],
                icon_name="trash",
            )
        )
        if sure:
            self._session.background(
                runs.delete, self._session.home, self.folder, done=lambda _: self._deleted()
            )

    def _asks(self, dialog: ConfirmDialog) -> str:
        self.dialog = dialog
        answer = dialog.ask()
        self.dialog = None
        dialog.deleteLater()
        return answer

    def _end(self, how: str, command: AnyCommand) -> None:
        self.ending.emit(ENDS[how])
        self._tell(command, "")

    def _tell(self, command: AnyCommand, said: str) -> None:
        session = self._session
        session.worker.tell(
            str(self.folder),
            command,
            done=lambda: session.said.emit(said, "info") if said else None,
            failed=session.failed.emit,
        )

    def _renamed(self, path: Path) -> None:
        self.folder = path
        self.renamed.emit(str(path))
        self.changed.emit()

    def _deleted(self) -> None:
        self._session.said.emit("Run moved to the trash", "ok")
        self.deleted.emit()
        self.changed.emit()


def _conversation(home: Home, result: dict[str, object]) -> tuple[str, list[str]]:
    """The model's folder and the adapters to chat with; StudioError where the base is gone."""
    if result.get("model"):
        return str(result["model"]), []
    adapter = Path(str(result["adapter"]))
    return str(adapters.base_of(home, adapters.facts(adapter))), [str(adapter)]
