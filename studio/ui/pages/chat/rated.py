"""What is thought of an answer, with all that was said before it."""

from __future__ import annotations

from collections.abc import Sequence

from studio.core.chats import Turn, history
from studio.core.own_sets import Rating


def rating(turns: Sequence[Turn], turn: Turn, column: int, model: str) -> Rating:
    """The rating of one answer of these turns."""
    answer = turn.answers[column]
    before = turns[: list(map(id, turns)).index(id(turn)) + 1]
    return Rating(
        answer=answer.id,
        messages=tuple(history(before, column, turn.system)),
        text=answer.text,
        rating=answer.rating,
        correction=answer.correction,
        model=model,
        adapter=answer.side,
    )
