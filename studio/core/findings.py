"""What is found in the rows of a dataset, in words: the same in the window and on a terminal."""

from __future__ import annotations

from typing import Literal

import msgspec

from studio.core.problem import Severity
from studio.core.recipe import DataPart, Drop, Repair

NAMED_ROWS = 200
"""Rows that a finding names; the others are counted."""


class RowRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where a row is: the place of its dataset in the recipe from 0, its file, its number from 1.

    `note` says what is there: “e-mail”, “the same as row 12”, “German”.
    """

    part: int = 0
    file: str = ""
    row: int = 0
    note: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of `count` rows; the first NAMED_ROWS of them are in `rows`.

    `fix` says what can be done. `drop` and `repair` are the rules that would do it, and nothing
    where there is none.
    """

    key: str
    title: str
    text: str
    fix: str = ""
    severity: Severity = "info"
    count: int = 0
    rows: tuple[RowRef, ...] = ()
    drop: Drop | Literal[""] = ""
    repair: Repair | Literal[""] = ""

    def handled(self, data: DataPart) -> bool:
        """Whether a rule of the recipe deals with it already."""
        return self.drop in data.drop or self.repair in data.repair


class LanguageRows(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows are surely in one language."""

    name: str
    rows: int


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a row; a plain text is said by nobody."""

    text: str
    role: str = ""


class SeenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it stands in its file, or why it can't be used."""

    place: RowRef
    said: tuple[Said, ...] = ()
    problem: str = ""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of finding. {what} of its text becomes “3 of 40 rows (8 %)”, {is} and {has} follow
    their number. It is a warning from `warns` rows of a hundred on."""

    title: str
    text: str
    fix: str
    warns: float = 0.0
    drop: Drop | Literal[""] = ""
    repair: Repair | Literal[""] = ""


KINDS = {
    "empty": Kind(
        title="Empty",
        text="{what} {is} empty, or the answer is; left out.",
        fix="Write what is missing, or delete the rows.",
        warns=1,
    ),
    "unusable": Kind(
        title="Can't be used",
        text="{what} can't be used; left out.",
        fix="Mend the rows, or say which column is which.",
    ),
    "duplicate": Kind(
        title="Duplicates",
        text="{what} {says} the same as an earlier row (duplicates).",
        fix="Leave the copies out, unless they are meant; they never fall on both sides of the "
        "split.",
        warns=5,
        drop="duplicate",
    ),
    "near-duplicate": Kind(
        title="Near-duplicates",
        text="{what} {says} nearly the same as an earlier row: four fifths of the word sequences, "
        "or all of them but case and punctuation.",
        fix="Leave them out if they teach nothing new; they never fall on both sides of the split.",
        warns=20,
        drop="near-duplicate",
    ),
    "too-long": Kind(
        title="Too long",
        text="{what} {is} longer than {length} tokens and cut there.",
        fix="Raise the maximum length: {fits}.",
        warns=5,
        drop="too-long",
    ),
    "cut-answer": Kind(
        title="Answers cut off",
        text="{what} {loses} an answer or a part of one to the cut at {length} tokens{whole}.",
        fix="Raise the maximum length: {fits}. Or leave these rows out.",
        drop="cut-answer",
    ),
    "short-answer": Kind(
        title="Very short answers",
        text="{what} {has} an answer of three words or fewer, where half of the answers have "
        "{median} or more.",
        fix="Look whether they are whole.",
        warns=10,
        drop="short-answer",
    ),
    "echo": Kind(
        title="Answers that repeat the prompt",
        text="{what} {begins} the answer with the whole prompt.",
        fix="Take the prompt out of the answers, or leave the rows out: the model would learn to "
        "repeat what it is asked.",
        warns=2,
        drop="echo",
    ),
    "language": Kind(
        title="Another language",
        text="{what} {is} in another language than the rest ({rest}): {languages}.",
        fix="Leave them out if the model is to speak one language.",
        warns=2,
        drop="language",
    ),
    "contact": Kind(
        title="Contact data and keys",
        text="{what} {holds} {kinds}.",
        fix="Mask them or leave the rows out: a model can repeat what it has learnt, word by word.",
        drop="contact",
        repair="mask-contact",
    ),
    "blanks": Kind(
        title="Blanks around texts",
        text="{what} {has} blanks or empty lines before or behind a message.",
        fix="Trim them: the model would learn to write them.",
        warns=10,
        repair="trim",
    ),
}
_VERBS = {
    "is": "are", "has": "have", "says": "say", "loses": "lose", "begins": "begin",
    "holds": "hold",
}  # fmt: skip


def finding(
    key: str, count: int, rows: int, refs: tuple[RowRef, ...] = (), **words: object
) -> Finding:
    """A finding of one of KINDS in `count` of `rows` rows; `words` fill its sentences."""
    kind = KINDS[key]
    words |= {one: one if count == 1 else many for one, many in _VERBS.items()}
    words["what"] = f"{_counted(count)} of {rows} ({share(count, rows)})"
    return Finding(
        key=key,
        title=kind.title,
        text=kind.text.format(**words),
        fix=kind.fix.format(**words),
        severity="warning" if count * 100 >= kind.warns * rows else "info",
        count=count,
        rows=refs[:NAMED_ROWS],
        drop=kind.drop,
        repair=kind.repair,
    )


def share(count: int, rows: int) -> str:
    """A share in per cent, never 0 % of something nor 100 % of less than all."""
    cent = 100 * count / rows if rows else 0.0
    if 0 < cent < 1:
        return "less than 1 %"
    return f"{min(round(cent), 99 if count < rows else 100)} %"


def after_rules(kept: int, rows: int, dropped: dict[str, int], repaired: dict[str, int]) -> str:
    """What the rules of a recipe leave of a dataset; nothing where they change nothing."""
    said = [f"{KINDS[key].title.lower()} {count}" for key, count in dropped.items() if count]
    lines = []
    if said:
        lines.append(f"{kept} of {rows} rows after your rules; left out: {', '.join(said)}.")
    words = {"trim": "trimmed", "mask-contact": "masked"}
    mended = [f"{count} {words[key]}" for key, count in repaired.items() if count]
    if mended:
        lines.append(f"Mended: {', '.join(mended)}.")
    return " ".join(lines)


def _counted(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
