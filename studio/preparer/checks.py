"""What is checked of every row's tokens before anything is trained on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from studio.core.problem import Problem, Severity
from studio.preparer.tokens import Tokens

FIELD = "dataset"
NAMED_ROWS = 5
KEPT_ROWS = 200
Cut = Literal["", "part", "whole", "all"]


class Check(msgspec.Struct, frozen=True):
    """One check: `one` is said of a row that fails, `many` of several; {n} and {length} are filled
    in. Both follow the name of the row or rows."""

    one: str
    many: str
    fix: str = ""
    severity: Severity = "warning"
    field: str = FIELD


CHECKS = {
    "nothing": Check(
        "has nothing to train on: all of it is context; it is left out",
        "have nothing to train on: all of them is context; they are left out",
        "Check their labels and answers, or train on everything.",
    ),
    "cut-all": Check(
        "is left out: cut at {length} tokens, before the answer begins",
        "are left out: cut at {length} tokens, before the answer begins",
        "Raise the maximum length, or shorten the prompts.",
        field="data.max_length",
    ),
    "end": Check(
        "has an answer that no end token ends, so that the model may learn no stop",
        "have an answer that no end token ends, so that the model may learn no stop",
        "Choose a template whose turns end with a token that the model knows.",
        field="data.template",
    ),
    "bos": Check(
        "begins with its first token twice",
        "begin with their first token twice",
        "Take the beginning-of-text token out of the template or out of the text.",
        field="data.template",
    ),
    "mask": Check(
        "has an answer whose tokens don't read back as its words: the tokenizer lacks some of "
        "its characters",
        "have answers whose tokens don't read back as their words: the tokenizer lacks some of "
        "their characters",
        "Take out those characters, or choose a model that knows them.",
    ),
    "cut-whole": Check(
        "loses a whole answer to the cut at {length} tokens",
        "lose a whole answer to the cut at {length} tokens",
        "Raise the maximum length, or shorten the rows.",
        field="data.max_length",
    ),
    "cut-part": Check(
        "is cut inside an answer, at {length} tokens, so that its end isn't learnt",
        "are cut inside an answer, at {length} tokens, so that its end isn't learnt",
        "Raise the maximum length, or shorten the rows.",
        field="data.max_length",
    ),
    "control": Check(
        "says a control token, such as an end of turn",
        "say a control token, such as an end of turn",
        "Take it out of the text, unless the model is meant to read it as one.",
    ),
    "merged": Check(
        "has an untrained token that spans an answer's beginning",
        "have an untrained token that spans an answer's beginning",
        "Begin answers without a blank.",
        "info",
    ),
    "folded": Check(
        "says its system message as the user: the template knows none",
        "say their system message as the user: the template knows none",
        severity="info",
    ),
}


def cut(tokens: Tokens, length: int) -> Cut:
    """What the cut at `length` tokens takes of what is to be learnt: everything, some whole
    answer, a part of one, or nothing."""
    if not any(tokens.trained[length:]):
        return ""
    if not any(tokens.trained[:length]):
        return "all"
    return "whole" if any(first >= length for first, _ in tokens.answers) else "part"


def failed(tokens: Tokens, length: int) -> list[str]:
    """The keys of the CHECKS that a row of these tokens doesn't pass, cut at `length`."""
    lost = cut(tokens, length)
    found = {
        "nothing": not any(tokens.trained),
        "cut-all": lost == "all",
        "end": not tokens.ends,
        "bos": tokens.doubled,
        "mask": not tokens.proved,
        "cut-whole": lost == "whole",
        "cut-part": lost == "part" and bool(tokens.answers),
        "control": tokens.control,
        "merged": tokens.merged,
        "folded": tokens.folded,
    }
    return [key for key in CHECKS if found[key]]


def of_row(tokens: Tokens, length: int, place: str, row: int) -> tuple[Problem, ...]:
    """What is wrong with one row, which `place` names: “Row 7”."""
    return tuple(
        _problem(key, f"{place} {CHECKS[key].one}", length, row) for key in failed(tokens, length)
    )


class Tallied:
    """Checks counted over rows, with the first KEPT_ROWS rows that fail each."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._counts: dict[str, int] = {}
        self.rows: dict[str, list[tuple[str, int]]] = {}

    def add(self, tokens: Tokens, place: str, row: int) -> None:
        """Check a row, which `place` names: “Row 7” or “b.csv, row 7”."""
        for key in failed(tokens, self._length):
            self._counts[key] = self._counts.get(key, 0) + 1
            rows = self.rows.setdefault(key, [])
            if len(rows) < KEPT_ROWS:
                rows.append((place, row))

    def count(self, key: str) -> int:
        """How many rows failed a check."""
        return self._counts.get(key, 0)

    def problems(self) -> Iterator[Problem]:
        """One for each check that rows failed, naming the first of them. Of those cut off a
        finding speaks."""
        for key, count in self._counts.items():
            if key.startswith("cut-"):
                continue
            rows, check = self.rows[key], CHECKS[key]
            if count == 1:
                ((place, row),) = rows
                yield _problem(key, f"{place} {check.one}", self._length, row)
            else:
                named = [place.removeprefix("Row ") for place, _ in rows[:NAMED_ROWS]]
                more = ", …" if count > len(named) else ""
                text = f"{count} rows {check.many} ({', '.join(named)}{more})"
                yield _problem(key, text, self._length)


def _problem(key: str, text: str, length: int, row: int | None = None) -> Problem:
    check = CHECKS[key]
    return Problem(
        field=check.field,
        text=text.replace("{length}", str(length)) + ".",
        fix=check.fix,
        severity=check.severity,
        row=row,
    )
