"""A conversation as it is kept: a tree of turns, and one way through it that is on screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from studio.core.own_sets import Stars

Message = dict[str, str]
Stage = Literal["waiting", "growing", "done", "stopped", "failed"]

TITLE_LETTERS = 60
BARE_NAME = "Bare model"


class Answer(msgspec.Struct, kw_only=True):
    """One side's answer. `side` is an adapter's folder, "" the bare model; `name` what people
    call it.

    `correction` is what the user would rather have read; `id` names it among all answers. The
    counts are those of core.events.Answered.
    """

    side: str
    name: str
    text: str = ""
    stage: Stage = "waiting"
    tokens: int = 0
    tokens_per_second: float = 0.0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    first_token_seconds: float = 0.0
    context_length: int = 0
    problem: str = ""
    rating: Stars = ""
    correction: str = ""
    id: str = ""

    @property
    def said(self) -> str:
        """The answer as it stands: corrected, or as the model gave it."""
        return self.correction or self.text

    @property
    def over(self) -> bool:
        """Whether nothing more of it will come."""
        return self.stage in ("done", "stopped", "failed")


class Turn(msgspec.Struct, kw_only=True):
    """A question, the system message it went with, and the answers to it, one a column.

    `parent` is the turn before it, "" for a first one: turns of the same parent are branches.
    `sampling` is what the request said. In a `blind` turn the columns stand in the order of
    `order` and without names; `vote` is the column (from 0) that was best, -1 for a tie, None
    before.
    """

    id: str
    question: str
    parent: str = ""
    answers: list[Answer] = []
    system: str = ""
    sampling: dict[str, float] = {}
    time: float = 0.0
    blind: bool = False
    order: tuple[int, ...] = ()
    vote: int | None = None

    @property
    def shown(self) -> list[int]:
        """The columns in the order in which they stand on screen."""
        whole = list(range(len(self.answers)))
        return list(self.order) if sorted(self.order) == whole else whole


class Kept(msgspec.Struct, kw_only=True):
    """One conversation. `at` is the turn that ends the way through the tree that is on screen.

    `model` is the base's folder and `sides` who answers next, as in core.commands.Say. Times are
    seconds since the epoch. `named` says that the user chose the title.
    """

    id: str
    title: str = ""
    named: bool = False
    model: str = ""
    model_name: str = ""
    sides: list[str] = []
    system: str = ""
    sampling: dict[str, float] = {}
    turns: list[Turn] = []
    at: str = ""
    blind: bool = False
    revealed: bool = False
    created_at: float = 0.0
    changed_at: float = 0.0

    def turn(self, id: str) -> Turn | None:
        """The turn of this name."""
        return next((turn for turn in self.turns if turn.id == id), None)

    def path(self) -> list[Turn]:
        """The turns on screen, the first first."""
        found: list[Turn] = []
        turn = self.turn(self.at)
        while turn is not None and turn not in found:
            found.append(turn)
            turn = self.turn(turn.parent) if turn.parent else None
        return found[::-1]

    def branches(self, turn: Turn) -> list[Turn]:
        """All turns that stand where this one does, this one among them, the oldest first."""
        return [other for other in self.turns if other.parent == turn.parent]

    def add(self, turn: Turn) -> None:
        """Put a turn in and go there."""
        self.turns.append(turn)
        self.at = turn.id
        if not self.title and not self.named:
            self.title = title_of(turn.question)

    def show(self, turn: Turn) -> None:
        """Go to the end of the way that leads through this turn, the latest where it forks."""
        end = turn
        while following := [other for other in self.turns if other.parent == end.id]:
            end = following[-1]
        self.at = end.id

    def texts(self) -> Iterator[str]:
        """All that a search looks through."""
        yield self.title
        for turn in self.turns:
            yield turn.question
            yield from (answer.said for answer in turn.answers)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in a list. `found` is where a search met its words; `problem` says why it
    can't be opened."""

    id: str
    path: str
    title: str
    model_name: str = ""
    turns: int = 0
    created_at: float = 0.0
    changed_at: float = 0.0
    found: str = ""
    problem: str = ""


def title_of(question: str) -> str:
    """A conversation's title by its first question."""
    words = " ".join(question.split())
    if len(words) <= TITLE_LETTERS:
        return words
    cut = words[:TITLE_LETTERS].rsplit(" ", 1)[0] or words[:TITLE_LETTERS]
    return f"{cut} \N{HORIZONTAL ELLIPSIS}"


def history(turns: Sequence[Turn], column: int, system: str = "") -> list[Message]:
    """The messages that a column has seen, the question of the last turn included.

    Where a turn had fewer columns, its first answer stands in; one that failed is left out
    together with its question.
    """
    messages = [{"role": "system", "content": system}] if system else []
    for turn in turns[:-1]:
        answer = _of_column(turn, column)
        if answer is not None and answer.stage != "failed" and answer.text:
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


def said_in(turns: Sequence[Turn], column: int) -> list[Message]:
    """All that was said in a column, its last answer included where there is one."""
    if not turns:
        return []
    messages = history(turns, column, turns[-1].system)
    answer = _of_column(turns[-1], column)
    if answer is None or answer.stage == "failed" or not answer.text:
        return messages[:-1]
    return [*messages, {"role": "assistant", "content": answer.said}]


def tally(turns: Sequence[Turn]) -> dict[str, int]:
    """Votes by the name of who answered, and ties under ""; who never won has 0."""
    counts: dict[str, int] = {}
    for turn in turns:
        if turn.vote is None:
            continue
        for answer in turn.answers:
            counts.setdefault(answer.name, 0)
        best = turn.answers[turn.vote].name if 0 <= turn.vote < len(turn.answers) else ""
        counts[best] = counts.get(best, 0) + 1
    return counts


def _of_column(turn: Turn, column: int) -> Answer | None:
    if not turn.answers:
        return None
    return turn.answers[column if column < len(turn.answers) else 0]
