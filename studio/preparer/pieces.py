"""Each dataset of several by itself: what it is, how much of it is taken, what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from studio.core.facts import Alternative, DatasetPiece
from studio.core.problem import Problem
from studio.core.recipe import DatasetPart
from studio.library import hub_datasets
from studio.preparer import fields, formats, shape_list
from studio.preparer.dataset import Opened, Row
from studio.preparer.messages import BadRow, Passed
from studio.preparer.shapes import Recognition
from studio.preparer.tokens import Tokens

LOOKED_AT = 20
"""Files of a dataset whose encoding is looked at for a remark."""


class Counts:
    """What becomes of the rows of one dataset, counted one by one."""

    def __init__(self) -> None:
        self.rows = self.usable = self.evaluation = self.passed = self.tokens = self.trained = 0

    def bad(self, why: BadRow) -> None:
        """Count a row that is not learnt from."""
        self.rows += 1
        self.passed += isinstance(why, Passed)

    def good(self, row: Row, tokens: Tokens | None, usable: bool, length: int) -> None:
        """Count a row that can be read; without anything to learn in `length` it isn't usable."""
        self.rows += 1
        self.usable += usable
        self.evaluation += usable and row.evaluation
        if tokens is not None:
            self.tokens += min(len(tokens.ids), length)
            self.trained += sum(tokens.trained[:length])


def piece(one: Opened, counts: Counts) -> DatasetPiece:
    """What a report says of one dataset."""
    return DatasetPiece(
        path=name_of(one.part),
        kind=one.about.name,
        encoding=one.about.encoding,
        files=len(one.files),
        revision=revision_of(one.part),
        columns=one.columns,
        weight=one.part.weight,
        limit=one.part.limit,
        rows=counts.rows,
        usable_rows=counts.usable,
        evaluation_rows=counts.evaluation,
        passed_rows=counts.passed,
        tokens=counts.tokens,
        trained_tokens=counts.trained,
        **recognised(one.recognition, one.columns),
    )


def recognised(found: Recognition, columns: Sequence[str]) -> dict[str, Any]:
    """The fields that reports and their pieces share, of what was recognised."""
    alternatives = tuple(
        Alternative(
            format=one.format,
            confidence=one.confidence,
            reason=one.reason,
            roles=one.roles,
            learnt=one.learnt,
        )
        for one in found.alternatives
    )
    return {
        "format": found.format,
        "confidence": found.confidence,
        "reason": found.reason,
        "roles": found.roles,
        "learnt": found.learnt,
        "alternatives": alternatives,
        "unmapped": unmapped(found, columns),
    }


def unmapped(found: Recognition, columns: Sequence[str]) -> tuple[str, ...]:
    """Columns at the top that no role has anything to do with."""
    used = {
        name
        for column in found.roles.values()
        for name in ([column] if column in columns else fields.named_in(column))
    }
    tops = [name for name in columns if not any(name.startswith(f"{top}.") for top in columns)]
    return tuple(
        top for top in tops if not any(name == top or name.startswith(f"{top}.") for name in used)
    )


def remarks(opened: Sequence[Opened]) -> Iterator[Problem]:
    """What a person should know of how the datasets are read."""
    for place, one in enumerate(opened):
        field = "dataset" if len(opened) == 1 else f"dataset[{place}]"
        guessed = next((f for f in one.files[:LOOKED_AT] if formats.about(f).guessed), None)
        if guessed is not None:
            yield Problem(
                field=field,
                text=f"“{guessed.name}” is not UTF-8; it is read as "
                f"{formats.about(guessed).encoding}.",
                fix="Look at the accents; if they are wrong, save the file as UTF-8.",
                severity="warning",
            )
        learnt = one.recognition.learnt
        if learnt in (shape_list.CHOSEN, shape_list.GOOD, shape_list.BEST):
            yield Problem(
                field=field,
                text=f"{_capital(one.recognition.format)}: this run learns {_small(learnt)}",
                fix="Map the columns yourself to learn something else.",
                severity="warning" if learnt == shape_list.CHOSEN else "info",
            )


def name_of(part: DatasetPart) -> str:
    """What a person calls a dataset: its path, or its name on the hub."""
    origin = hub_datasets.origin_at(part.path)
    return origin.repo if origin else part.path


def revision_of(part: DatasetPart) -> str:
    """The commit of a hub dataset's copy; nothing for other datasets."""
    origin = hub_datasets.origin_at(part.path)
    return origin.revision if origin else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
