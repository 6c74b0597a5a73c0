"""What was asked and isn't answered yet: text as it comes goes to its answer, drawn on a timer."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

from PySide6.QtCore import QObject, QTimer, Signal

from studio.core.chats import Answer, Kept, Turn, requests
from studio.core.events import Answered, Refused
from studio.library import chats
from studio.ui.pages.chat.sides import MOST, Sides
from studio.ui.pages.chat.talk import Talk

DRAW_MS = 60


def fresh(sides: Sides, system: str, values: Mapping[str, float], text: str, parent: str) -> Turn:
    """A question that nobody has answered yet, to those who are chosen; compared blindly the
    columns are shuffled."""
    chosen = sides.sides()
    turn = Turn(
        id=chats.new_id(),
        question=text,
        parent=parent,
        answers=[Answer(side=side, name=sides.name(side), id=chats.new_id()) for side in chosen],
        system=system,
        sampling=dict(values),
        time=time.time(),
    )
    if sides.blind.isChecked() and len(chosen) > 1:
        turn.blind = True
        turn.order = tuple(random.sample(range(len(chosen)), len(chosen)))
    return turn


class Asking(QObject):
    """The requests on their way. Answers are changed where they stand; `grew` says which."""

    grew = Signal(str)
    """The id of an answer that changed, at most every `DRAW_MS`."""
    settled = Signal(object, object)
    """A conversation and a turn of it, when one of the turn's answers is over."""
    refused = Signal(object)
    """A Refused that belongs to no question."""

    def __init__(self, talk: Talk, parent: QObject) -> None:
        super().__init__(parent)
        self._talk = talk
        self._open: dict[str, tuple[Kept, Turn, list[int]]] = {}
        self._dirty: dict[str, None] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(DRAW_MS)
        self._timer.timeout.connect(self._draw)
        talk.text.connect(self._grow)
        talk.answered.connect(self._answered)
        talk.refused.connect(self._refuse)

    @property
    def busy(self) -> bool:
        """Whether anything is being answered."""
        return bool(self._open)

    def ask(self, kept: Kept, values: Mapping[str, float]) -> None:
        """Ask every side of the turn that a conversation ends with."""
        path = kept.path()
        turn = path[-1]
        for messages, columns in requests(path, turn.system):
            sides = [turn.answers[column].side for column in columns]
            request = self._talk.say(messages, sides, **values)
            self._open[request] = (kept, turn, columns)

    def stop(self) -> None:
        """Cut off what is being answered."""
        for request in self._open:
            self._talk.stop(request)

    def give_up(self, why: str) -> bool:
        """Close what nobody will answer any more; whether there was anything."""
        asked, self._open = self._open, {}
        for kept, turn, columns in asked.values():
            for column in columns:
                _fail(turn.answers[column], why)
                self._mark(turn.answers[column])
            self.settled.emit(kept, turn)
        self._draw()
        return bool(asked)

    def _grow(self, request: str, side: int, text: str) -> None:
        if answer := self._answer(request, side):
            answer.text += text
            answer.stage = "growing"
            self._mark(answer)

    def _answered(self, event: Answered) -> None:
        answer = self._answer(event.request, event.side)
        if answer is None:
            return
        for name in ("text", "tokens", "tokens_per_second", "prompt_tokens", "reused_tokens",
                     "first_token_seconds", "context_length"):  # fmt: skip
            setattr(answer, name, getattr(event, name))
        answer.stage = "stopped" if event.stopped else "done"
        self._settle(event.request, answer)

    def _refuse(self, event: Refused) -> None:
        if not event.request:
            self.refused.emit(event)
            return
        for side in range(MOST):
            if (answer := self._answer(event.request, side)) and not answer.over:
                _fail(answer, f"{event.text} {event.fix}".strip())
                self._settle(event.request, answer)

    def _settle(self, request: str, answer: Answer) -> None:
        self._mark(answer)
        kept, turn, columns = self._open[request]
        if all(turn.answers[column].over for column in columns):
            del self._open[request]
        self._draw()
        self.settled.emit(kept, turn)

    def _answer(self, request: str, side: int) -> Answer | None:
        """The answer of this side of a request; None for one long forgotten."""
        if request not in self._open:
            return None
        _, turn, columns = self._open[request]
        return turn.answers[columns[side]] if side < len(columns) else None

    def _mark(self, answer: Answer) -> None:
        self._dirty[answer.id] = None
        if not self._timer.isActive():
            self._timer.start()

    def _draw(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for answer in dirty:
            self.grew.emit(answer)
        if not dirty:
            self._timer.stop()


def _fail(answer: Answer, why: str) -> None:
    if not answer.over:
        answer.stage, answer.problem = "failed", why
