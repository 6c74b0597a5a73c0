"""The conversation's engine as the window sees it: started when needed, asked, stopped, left."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal

from studio.core import events as ev
from studio.core import run_state
from studio.core.commands import AnyCommand, Cancel, Chat, Leave, Load, Say
from studio.core.errors import StudioError
from studio.core.run_state import RunState
from studio.library import gguf_files, jobs, parts
from studio.library.folders import Home
from studio.ui.session import Session


class Talk(QObject):
    """At most one engine. `say` starts it if there is none, and again after it died."""

    moved = Signal(str)
    """What the engine does now in words, "" when it waits for a request."""
    text = Signal(str, int, str)
    """Request, side, more text."""
    answered = Signal(object)
    refused = Signal(object)
    loaded = Signal(object)
    """The Ready that says who can speak now."""
    decided = Signal(str)
    """How the base is held, and why, in a sentence."""
    remark = Signal(str)
    broken = Signal(object)
    """The StudioError by which the engine ended or couldn't be started."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._folder: Path | None = None
        self._left: set[str] = set()
        self._count = self._starting = 0
        self._model = self._bits = ""
        self._listening = False
        self._waiting: list[AnyCommand] = []
        self._state = RunState()
        self.ready = False

    @property
    def living(self) -> bool:
        """Whether an engine is there or on its way."""
        return self._folder is not None or bool(self._starting)

    def holds(self, model: str, bits: str) -> bool:
        """Whether an engine is there, or on its way, with this base held so."""
        return self.living and (model, bits) == (self._model, self._bits)

    def open(self, model: str, adapters: Sequence[str], bits: str = "auto") -> None:
        """Have this model loaded with these adapters; the base stays where it is the same."""
        if self.holds(model, bits):
            self._tell(Load(adapters=tuple(adapters)))
            return
        self.leave()
        self._model, self._bits = model, bits
        self._count += 1
        self._state, self._starting = RunState(), self._count
        mine = self._count
        self.moved.emit("Starting")
        self._session.background(
            create, self._session.home, Chat(model=model, adapters=tuple(adapters), bits=bits),
            done=lambda folder: self._created(folder, mine), failed=self._not_started,
        )  # fmt: skip

    def say(
        self, messages: Sequence[dict[str, str]], adapters: Sequence[str], **sampling: float
    ) -> str:
        """Ask every side of `adapters` ("" is the bare model); the request's name."""
        request = uuid.uuid4().hex[:8]
        asked = {"request": request, "messages": tuple(messages), "adapters": tuple(adapters)}
        self._tell(msgspec.convert({"command": "say"} | asked | sampling, Say))
        return request

    def stop(self, request: str) -> None:
        """Cut this answer off."""
        self._tell(Cancel(request=request))

    def leave(self) -> None:
        """End the engine and give its memory back."""
        self._waiting.clear()
        self._starting, self.ready = 0, False
        folder, self._folder = self._folder, None
        if folder is not None:
            self._left.add(str(folder))
            self._session.worker.tell(folder, Leave(), failed=lambda _: None)
            self.moved.emit("")

    def _tell(self, command: AnyCommand) -> None:
        if self._folder is None:
            self._waiting.append(command)
        else:
            self._session.worker.tell(self._folder, command)

    def _created(self, folder: Path, number: int) -> None:
        if number != self._starting:
            self._session.background(_remove, folder)
            return
        self._folder = folder
        worker = self._session.worker
        if not self._listening:
            worker.heard.connect(self._heard)
            worker.ended.connect(self._ended)
            self._listening = True
        worker.start_job(folder, None, failed=self._not_started)
        worker.watch(folder, failed=lambda _: None)
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            worker.tell(folder, command, failed=lambda _: None)

    def _not_started(self, error: StudioError) -> None:
        self._waiting.clear()
        self._starting, self.ready = 0, False
        folder, self._folder = self._folder, None
        if folder is not None:
            self._session.worker.unwatch(folder)
            self._session.background(_remove, folder)
        self.broken.emit(error)

    def _heard(self, folder: str, found: list[ev.AnyEvent]) -> None:
        if folder != str(self._folder):
            return
        self._state = run_state.replay(found, self._state)
        for event in found:
            self._take(event)

    def _take(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.Stage():
                self.moved.emit(event.text)
            case ev.Started(decided=decided):
                self.decided.emit(_how(decided))
            case ev.Ready():
                self.ready = True
                self.moved.emit("")
                self.loaded.emit(event)
            case ev.TokenText():
                self.text.emit(event.request, event.side, event.text)
            case ev.Answered():
                self.answered.emit(event)
            case ev.Refused():
                self.refused.emit(event)
            case ev.Note() if event.severity != "info":
                self.remark.emit(event.text)

    def _ended(self, folder: str) -> None:
        if folder in self._left:
            self._left.discard(folder)
            self._session.worker.unwatch(folder)
            self._session.background(_remove, Path(folder))
        if folder != str(self._folder):
            return
        self._session.worker.unwatch(folder)
        self._folder, self._starting, self.ready = None, 0, False
        state = self._state
        text = state.text or "Its process ended without a word."
        title = state.title or "The conversation's engine ended"
        self.broken.emit(StudioError(title, text, state.fix or "Send the message again."))


def _how(decided: dict[str, object]) -> str:
    if not decided.get("why"):
        return ""
    held = "4 bits (NF4)" if decided.get("bits") == 4 else str(decided.get("dtype", "16 bits"))
    return f"The base is held in {held}: {decided['why']}."


def create(home: Home, job: Chat) -> Path:
    """The folder of a new conversation; those of conversations long over are deleted."""
    if any(map(gguf_files.names_file, (job.model, *job.adapters))):
        parts.need(gguf_files.PART)
    jobs.sweep_over(home, "chat")
    return jobs.create(home, job)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
