"""Asking a conversation that is held, and waiting for its answers."""

from __future__ import annotations

from studio.core.commands import Say
from studio.core.events import Answered, AnyEvent, Refused
from tests.support.engines import Held


def answered(event: AnyEvent) -> bool:
    return isinstance(event, Answered | Refused)


def ask(held: Held, *sides: str, request: str = "r", **options: object) -> list[Answered]:
    """What the sides answer, in their order: greedily, unless the options of Say ask otherwise."""
    told = {"temperature": 0.0} | options
    held.tell(Say(request=request, adapters=sides, **told))  # type: ignore[arg-type]
    events = held.until(answered, max(1, len(sides)))
    answers = [event for event in events if isinstance(event, Answered)]
    return sorted(answers, key=lambda event: event.side)
