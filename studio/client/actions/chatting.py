"""A conversation with a model and its adapters, held by an engine of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from studio.client.actions.jobs import Asked, Hear, Outcome, wait
from studio.client.cancelled import Cancelled, Fault
from studio.client.keeper import POLL_SECONDS, Keeper
from studio.core.commands import AnyCommand, Cancel, Chat, Leave, Load, Say
from studio.core.errors import StudioError
from studio.core.events import Answered, AnyEvent, Ended, Failed, Ready, Refused, TokenText
from studio.core.run_state import RunState, after
from studio.core.wire import Heard
from studio.library import gguf_files, jobs, parts
from studio.library.folders import Home

OnText = Callable[[int, str], None]


class Conversation:
    """Open it, `say`, close it. Events of its log go to `hear` as they come."""

    def __init__(self, home: Home, keeper: Keeper, folder: Path, hear: Hear | None = None) -> None:
        self.home = home
        self.folder = folder
        self._keeper = keeper
        self._hear = hear
        self._state = RunState()
        self._fault = False
        self._ended = False
        self._number = 0

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait_ready(self, cancelled: Asked | None = None) -> Ready:
        """Wait until model and adapters are loaded; raises StudioError for one that isn't."""
        while True:
            for event in self._events(cancelled):
                if isinstance(event, Ready):
                    return event
                if isinstance(event, Refused) and not event.request:
                    raise StudioError(event.title, event.text, event.fix)

    def say(
        self,
        messages: Sequence[dict[str, str]],
        *,
        adapters: Sequence[str] = (),
        on_text: OnText | None = None,
        cancelled: Asked | None = None,
        **sampling: Any,
    ) -> list[Answered]:
        """One answer for each side of `adapters` ("" is the bare model), in that order.

        `sampling`: what core.commands.Say takes besides. `on_text(side, text)` gets the text
        as it comes. Once `cancelled()` is true the answer is cut off where it is.
        """
        self._number += 1
        request = str(self._number)
        self._tell(
            Say(request=request, messages=tuple(messages), adapters=tuple(adapters), **sampling)
        )
        answers: dict[int, Answered] = {}
        told = False
        while len(answers) < max(1, len(adapters)):
            if cancelled and cancelled() and not told:
                told = True
                self._tell(Cancel(request=request))
            for event in self._events():
                _take(event, request, answers, on_text)
        return [answers[side] for side in sorted(answers)]

    def load(self, adapters: Sequence[str]) -> None:
        """Hold these adapter folders instead; the base stays loaded."""
        self._tell(Load(adapters=tuple(adapters)))
        self.wait_ready()

    def close(self) -> None:
        """End the engine and wait until it is gone; an orderly conversation leaves no folder."""
        if not self._ended:
            self._tell(Leave())
            self._ended = True
            state = wait(self._keeper, self.folder).state
            if state.state not in ("failed", "crashed"):
                shutil.rmtree(self.folder, ignore_errors=True)

    def _tell(self, command: AnyCommand) -> None:
        self._keeper.tell(self.folder, command)

    def _events(self, cancelled: Asked | None = None) -> list[AnyEvent]:
        """What came in a moment; raises where the engine is gone or the user gave up."""
        if cancelled and cancelled():
            raise Cancelled("The conversation")
        found: list[AnyEvent] = []
        for push in self._keeper.receive(POLL_SECONDS):
            if isinstance(push, Heard) and Path(push.folder) == self.folder:
                found += push.events
                self._ended = self._ended or push.ended
        for event in found:
            self._state = after(self._state, event)
            self._fault = self._fault or (isinstance(event, Failed) and event.fault)
            if self._hear:
                self._hear(event)
        if self._ended or any(isinstance(event, Ended) for event in found):
            self._ended = True
            Outcome(state=self._state, fault=self._fault).result("The conversation")
            raise Fault("The conversation ended", "Its engine left.", "Open it again.")
        return found


def need_for(*sides: str) -> None:
    """Raise StudioError where the optional part is missing that these sides, or this model, are
    run by."""
    if any(map(gguf_files.names_file, sides)):
        parts.need(gguf_files.PART)


def open_chat(
    home: Home,
    model: Path,
    adapters: Sequence[Path] = (),
    *,
    keeper: Keeper,
    dtype: str = "auto",
    bits: str = "auto",
    hear: Hear | None = None,
    cancelled: Asked | None = None,
) -> Conversation:
    """Load a model and adapters for a conversation; returns when it is ready."""
    held = tuple(str(path) for path in adapters)
    job = Chat(model=str(model), adapters=held, dtype=dtype, bits=bits)
    folder = jobs.create(home, job)
    keeper.start(folder)
    conversation = Conversation(home, keeper, folder, hear)
    keeper.watch(folder)
    try:
        conversation.wait_ready(cancelled)
    except BaseException:
        conversation.close()
        raise
    return conversation


def _take(
    event: AnyEvent, request: str, answers: dict[int, Answered], on_text: OnText | None
) -> None:
    if getattr(event, "request", request) != request:
        return
    if isinstance(event, Refused):
        raise StudioError(event.title, event.text, event.fix)
    if isinstance(event, TokenText) and on_text:
        on_text(event.side, event.text)
    if isinstance(event, Answered):
        answers[event.side] = event
