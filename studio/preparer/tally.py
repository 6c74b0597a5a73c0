"""Counting over the rows of a dataset what a report and a manifest say of them."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from studio.core.errors import StudioError
from studio.core.problem import Problem, Severity
from studio.core.recipe import DataPart
from studio.library.chat_templates import ChatTemplate
from studio.preparer.checks import Tallied
from studio.preparer.dataset import Row
from studio.preparer.messages import BadRow, Passed
from studio.preparer.spread import Spread
from studio.preparer.tokens import Tokens

NAMED = 100
FIELD = "dataset"


class Tally:
    """Rows and tokens counted one by one; what is wrong with them, in sentences.

    The first NAMED broken rows are named, the rest are counted.
    """

    def __init__(self, data: DataPart, several_files: bool = False) -> None:
        self.rows = self.usable = self.tokens = self.trained = 0
        self.cut = self.out_of_reach = self.passed = 0
        self.spread = Spread()
        self._data = data
        self._several = several_files
        self._bad: list[Problem] = []
        self._odd: dict[str, tuple[str, int]] = {}
        self._unnamed = 0
        self._checks = Tallied(data.max_length)

    def bad(self, row: Row, why: BadRow) -> None:
        """Count a row that can't be used, or is not to be."""
        self.rows += 1
        if isinstance(why, Passed):
            self.passed += 1
            return
        if len(self._bad) == NAMED:
            self._unnamed += 1
            return
        text = f"{self._place(row)} {why.why}. It is left out."
        self._bad.append(_problem(text, why.fix, "warning", row.row))

    def good(self, row: Row, tokens: Tokens | None) -> bytes:
        """Count a row; its digest, or nothing where all that is left after the cut is untrained."""
        self.rows += 1
        if row.note:
            place, count = self._odd.get(row.note, (self._place(row), 0))
            self._odd[row.note] = place, count + 1
        if tokens is None:
            self.usable += 1
            return blake2b(msgspec.msgpack.encode(row.content), digest_size=16).digest()
        length = self._data.max_length
        trained = sum(tokens.trained[:length])
        self.spread.add(tokens)
        self._checks.add(tokens, self._place(row), row.row)
        self.cut += len(tokens.ids) > length
        if not trained:
            self.out_of_reach += 1
            return b""
        self.tokens += min(len(tokens.ids), length)
        self.trained += trained
        self.usable += 1
        content = msgspec.msgpack.encode((tokens.ids[:length], tokens.trained[:length]))
        return blake2b(content, digest_size=16).digest()

    def problems(self, template: ChatTemplate | None) -> tuple[Problem, ...]:
        """Everything worth saying, the broken rows first."""
        found = list(self._bad)
        if self._unnamed:
            found.append(_problem(f"{_rows(self._unnamed)} more can't be used.", "", "warning"))
        if self._mostly_broken():
            found.append(self._most_rows())
        if self.out_of_reach and not self.usable:
            found.append(self._masked())
        for note, (place, count) in self._odd.items():
            text = f"{place} {note}{_and_more(count - 1)}."
            found.append(_problem(text, "It is read all the same.", "info"))
        if self.passed:
            text = f"{_rows(self.passed, 'is', 'are')} marked as bad answers and not learnt."
            found.append(_problem(text, "", "info"))
        return tuple(found + self._about_template(template))

    def check(self, template: ChatTemplate | None) -> None:
        """Raise StudioError with all problems where too little is left to learn from."""
        if self.usable and not self._mostly_broken():
            return
        problems = self.problems(template)
        if self.out_of_reach:
            masked = self._masked()
            raise StudioError("Every token is masked", masked.text, masked.fix, problems)
        if self.passed and not self._broken:
            text = "All rows are marked as bad answers; none is left to learn."
            raise StudioError("No usable rows", text, "Add rows with good answers.", problems)
        most = self._most_rows()
        first = self._bad[0].text if self._bad else ""
        raise StudioError("No usable rows", f"{most.text} {first}".strip(), most.fix, problems)

    def _place(self, row: Row) -> str:
        return f"{row.file}, row {row.row}" if self._several else f"Row {row.row}"

    @property
    def _broken(self) -> int:
        return len(self._bad) + self._unnamed

    def _mostly_broken(self) -> bool:
        return self._broken * 2 > self.rows

    def _most_rows(self) -> Problem:
        text = f"{self._broken} of {_rows(self.rows)} can't be used."
        return _problem(text, "Fix the rows, or say which column is which.", "error")

    def _masked(self) -> Problem:
        text = (
            f"Every token is masked: all rows are cut at {self._data.max_length} tokens, before "
            "their answers begin."
        )
        return _problem(text, "Raise the maximum length, or shorten the prompts.", "error")

    def _about_template(self, template: ChatTemplate | None) -> list[Problem]:
        found = []
        if template is not None and template.fallback:
            text = "The model has no chat template; chats are written in ChatML."
            found.append(_problem(text, "", "info"))
        if template is not None and template.missing:
            text = f"The model knows no {' and no '.join(template.missing)}, of which the template "
            text += f"{template.source} is built; it reads them letter by letter."
            fix = "Choose a template that fits the model."
            found.append(Problem(field="data.template", text=text, fix=fix, severity="warning"))
        found += self._checks.problems()
        return found


def _and_more(count: int) -> str:
    if not count:
        return ""
    return f" (and {_rows(count, 'more', 'more')} like it)"


def _rows(count: int, one: str = "", more: str = "") -> str:
    return f"1 row {one}".rstrip() if count == 1 else f"{count} rows {more}".rstrip()


def _problem(text: str, fix: str, severity: Severity, row: int | None = None) -> Problem:
    return Problem(field=FIELD, text=text, fix=fix, severity=severity, row=row)
