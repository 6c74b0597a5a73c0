"""One merge under the keeper, as the window sees it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from studio.core import run_state
from studio.core.commands import Cancel, Merge
from studio.core.errors import StudioError
from studio.core.events import AnyEvent
from studio.core.passport import Passport, reasons, verdict
from studio.core.run_state import RunState
from studio.library import adapters, jobs
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.session import Session


class Merging(QObject):
    """Start it once. It goes on under the keeper when the window is closed."""

    moved = Signal(str, object)
    """What it does now, and a share of 1 or None."""
    finished = Signal(dict)
    """The result: path, bytes, seconds, passport."""
    cancelled = Signal()
    failed = Signal(object)
    """The StudioError by which it ended, or wasn't started."""

    def __init__(self, session: Session, facts: AdapterFacts, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self.facts = facts
        self.state = RunState()
        self._folder: Path | None = None
        self._unwanted = False
        self.living = False

    def start(self, out: Path, dtype: str, onto: str = "auto") -> None:
        """Check the target, write the job, hand it to the keeper."""
        self.living, self._unwanted = True, False
        self.state = RunState()
        self.moved.emit("Looking at base and target", None)
        self._session.background(
            create, self._session.home, self.facts, out, dtype, onto, done=self._created,
            failed=self._refused,
        )  # fmt: skip

    def cancel(self) -> None:
        """End it and keep nothing."""
        self._unwanted = True
        if self._folder is not None:
            self._session.worker.tell(self._folder, Cancel())

    def _created(self, folder: Path) -> None:
        if self._unwanted:
            self._session.background(_remove, folder)
            self._end()
            return
        self._folder = folder
        worker = self._session.worker
        worker.heard.connect(self._heard)
        worker.ended.connect(self._ended)
        worker.start_job(folder, None, done=self._watch, failed=self._refused)

    def _watch(self) -> None:
        assert self._folder is not None
        self._session.worker.watch(self._folder, failed=self._refused)
        if self._unwanted:
            self.cancel()

    def _refused(self, error: StudioError) -> None:
        self.living = False
        self._forget()
        self.failed.emit(error)

    def _heard(self, folder: str, found: list[AnyEvent]) -> None:
        if folder != str(self._folder):
            return
        self.state = run_state.replay(found, self.state)
        if self.state.state in ("created", "running"):
            self.moved.emit(self.state.stage or "Starting", self.state.share)

    def _ended(self, folder: str) -> None:
        if folder == str(self._folder):
            self._end()

    def _end(self) -> None:
        self.living = False
        self._forget()
        state = self.state
        if state.state == "finished":
            self.finished.emit(dict(state.result))
        elif self._unwanted or state.state == "cancelled":
            self.cancelled.emit()
        else:
            text = state.text or "Its process ended without a word."
            self.failed.emit(StudioError(state.title or "Merge ended early", text, state.fix))

    def _forget(self) -> None:
        """The folder stays only where the merge failed, for its log."""
        folder, self._folder = self._folder, None
        if folder is None:
            return
        worker = self._session.worker
        worker.heard.disconnect(self._heard)
        worker.ended.disconnect(self._ended)
        worker.unwatch(folder)
        if self.state.state in ("finished", "cancelled"):
            self._session.background(_remove, folder)


def create(home: Home, facts: AdapterFacts, out: Path, dtype: str, onto: str) -> Path:
    """The folder of a merge job. Raises StudioError where base or target won't do."""
    from studio.client import actions

    base = adapters.base_of(home, facts)
    target = actions.free_out(home, out)
    job = Merge(adapter=facts.path, out=str(target), base=str(base), dtype=dtype, onto=onto)
    return jobs.create(home, job)


def base_line(result: dict[str, Any]) -> str:
    """Which base the adapter went into, and why; "" where there was but one."""
    choice = result.get("base")
    if not choice:
        return ""
    names = {"original": "the 16-bit original", "trained": "the 4-bit base in 16 bits"}
    line = f"Merged into {names[choice['base']]}"
    if losses := choice["losses"]:
        line += (
            f": held-out loss {losses['original']:.4f} on the original, "
            f"{losses['trained']:.4f} on the 4-bit base"
        )
    return line + "."


def grade(result: dict[str, Any]) -> tuple[str, str, str]:
    """A merge's passport as a pill (text, tone) and a sentence."""
    passport = result.get("passport")
    if not passport:
        return "Not checked", "warn", "There was too little free memory to check the merged model."
    found = msgspec.convert(passport, Passport)
    words = verdict(found)
    if found.grade == "pass":
        return "Passed", "ok", words
    return "Failed", "err", " ".join([words, *(reason.text for reason in reasons(found))])


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
