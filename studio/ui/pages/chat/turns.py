"""What was asked and answered: one column a side, each with its own history."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from studio.core.own_sets import Rating, Stars

Message = dict[str, str]
Stage = Literal["waiting", "growing", "done", "stopped", "failed"]


@dataclass
class Answer:
    """One side's answer. `side` is an adapter's folder, "" the bare model.

    `correction` is what the user would rather have read; `id` names it among all answers.
    """

    side: str
    name: str
    text: str = ""
    stage: Stage = "waiting"
    tokens: int = 0
    tokens_per_second: float = 0.0
    problem: str = ""
    rating: Stars = ""
    correction: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def said(self) -> str:
        """The answer as it stands: corrected, or as the model gave it."""
        return self.correction or self.text

    @property
    def over(self) -> bool:
        return self.stage in ("done", "stopped", "failed")


@dataclass
class Turn:
    """A question, the system message it went with, and the answers to it, one a column."""

    question: str
    answers: list[Answer] = field(default_factory=list)
    system: str = ""


def history(turns: Sequence[Turn], column: int, system: str = "") -> list[Message]:
    """The messages that a column has seen, the question of the last turn included.

    Where a turn had fewer columns, its first answer stands in; one that failed is left out
    together with its question.
    """
    messages = [{"role": "system", "content": system}] if system else []
    for turn in turns[:-1]:
        answer = turn.answers[column if column < len(turn.answers) else 0]
        if answer.stage != "failed" and answer.text:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": answer.said})
    return [*messages, {"role": "user", "content": turns[-1].question}]


def requests(turns: Sequence[Turn], system: str = "") -> list[tuple[list[Message], list[int]]]:
    """What to ask: messages and the columns that share them, answered from one prompt."""
    asked: list[tuple[list[Message], list[int]]] = []
    for column in range(len(turns[-1].answers)):
        messages = history(turns, column, system)
        same = next((columns for known, columns in asked if known == messages), None)
        if same is None:
            asked.append((messages, [column]))
        else:
            same.append(column)
    return asked


def rating(turns: Sequence[Turn], turn: Turn, column: int, model: str) -> Rating:
    """What is thought of one answer, with all that was said before it."""
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
