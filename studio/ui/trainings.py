"""The training at work, or the one that could go on: for the tray, the shortcuts and the news."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from studio.core.commands import Pause, Stop, Train
from studio.core.errors import StudioError
from studio.core.run_state import RunState, allowed
from studio.core.wire import JobRow
from studio.library import runs
from studio.library.folders import Home
from studio.ui import reasons
from studio.ui.session import Session


class Trainings(QObject):
    """Follows the keeper's list of jobs; of a run that left it, the state is read from its log."""

    changed = Signal()
    ended = Signal(str, object)
    """A training is no longer at work: its folder, and the RunState it is in now."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.at_work: JobRow | None = None
        self.paused: Path | None = None
        """The run that was paused last, while nothing is at work."""
        self.state = RunState()
        """The state of `paused`."""
        session.jobs_changed.connect(self._jobs_moved)
        session.queue_changed.connect(lambda _: self.changed.emit())
        session.started.connect(self._look)

    @property
    def can_pause(self) -> bool:
        return self.at_work is not None and self.at_work.state == "running"

    @property
    def can_resume(self) -> bool:
        return self.at_work is None and self.paused is not None

    @property
    def waits(self) -> bool:
        """Whether what is paused goes on by itself."""
        return self.can_resume and reasons.waits(self.state)

    def pause(self) -> None:
        """Pause what is at work; what waits stays paused."""
        if self.can_pause or self.waits:
            self._tell(Pause())

    def resume(self) -> None:
        """Take up what was paused."""
        if self.can_resume and self.paused is not None:
            job = Train(resume=True)
            self._session.worker.start_job(self.paused, job, failed=self._failed)

    def toggle(self) -> None:
        """Pause, or resume."""
        if self.at_work is not None:
            self.pause()
        else:
            self.resume()

    def stop(self) -> None:
        """Stop what is at work and keep what was learnt."""
        if self.can_pause:
            self._tell(Stop())

    def folder(self) -> str:
        """The run that all this is about; "" where there is none."""
        return self.at_work.folder if self.at_work else str(self.paused or "")

    def _tell(self, command: Pause | Stop) -> None:
        if self._session.running and (folder := self.folder()):
            looked = self._look if self.waits else None
            self._session.worker.tell(folder, command, done=looked, failed=self._failed)

    def _failed(self, error: StudioError) -> None:
        """Also when the run was deleted or renamed meanwhile: look again what there is."""
        self._session.failed.emit(error)
        self._look()

    def _jobs_moved(self, jobs: list[JobRow]) -> None:
        training = [job for job in jobs if job.kind == "train"]
        before, self.at_work = self.at_work, training[0] if training else None
        if self.at_work is not None:
            self.paused = None
        if before is not None and before.folder not in {job.folder for job in training}:
            self._read(Path(before.folder))
        self.changed.emit()

    def _read(self, folder: Path) -> None:
        self._session.background(
            runs.state_of,
            folder,
            done=lambda state: self._know(folder, state),
            failed=lambda _: None,  # deleted or moved meanwhile
        )

    def _know(self, folder: Path, state: RunState) -> None:
        if self.at_work is None:
            paused = state.state == "paused"
            self.paused, self.state = (folder, state) if paused else (None, RunState())
        self.ended.emit(str(folder), state)
        self.changed.emit()

    def _look(self) -> None:
        """What was paused before this window opened."""
        self._session.background(_last_paused, self._session.home, done=self._found)

    def _found(self, found: tuple[Path, RunState] | None) -> None:
        if self.at_work is None:
            self.paused, self.state = found or (None, RunState())
            self.changed.emit()


def _last_paused(home: Home) -> tuple[Path, RunState] | None:
    """The run that was paused most recently; what waits comes first."""
    rows = [row for row in runs.listing(home) if row.kind == "train" and not row.living]
    held = [row for row in rows if row.state.state == "paused" and "resume" in allowed(row.state)]
    held.sort(key=lambda row: (reasons.waits(row.state), row.state.ended_at))
    return (held[-1].path, held[-1].state) if held else None
