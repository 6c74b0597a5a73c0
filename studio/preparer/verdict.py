"""From the columns of a survey to findings, to what rules leave, and to groups of rows."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from studio.core.facts import DatasetReport
from studio.core.findings import KINDS, NAMED_ROWS, Finding, LanguageRows, RowRef, finding
from studio.core.lengths import Lengths
from studio.core.recipe import DataPart
from studio.preparer import languages, typical
from studio.preparer.grouping import Places, firsts, joined
from studio.preparer.progress import Tell, silent
from studio.preparer.split import Split
from studio.preparer.survey import CONTACT, Mark, Survey

Mask = npt.NDArray[np.bool_]
_SHORT, _USUAL = 3, 10
_MAIN = 0.7
"""Share of the sure rows from which on a language is that of the set."""


class Verdict:
    """All that can be said once every row is read. Rows are numbered as in the survey."""

    def __init__(
        self, survey: Survey, data: DataPart, lengths: Lengths, longest: int, tell: Tell = silent
    ) -> None:
        survey.flush()
        self._survey, self._data = survey, data
        self._lengths, self._longest = lengths, longest
        tell("Comparing the rows", None)
        self._first = firsts(survey.column("content"))
        own = self._first == np.arange(len(survey))
        self._twins = survey.sketches.find(np.flatnonzero(own), tell)
        self._masks = self._found()
        self.usable = survey.marked(Mark.USABLE)
        self.kept, self.dropped = self._ruled()
        self.repaired = self._mended()
        self.exact = joined(self._first, self._equal("made"), self._equal("group"))
        """For each row the least row of all that must be on its side of the split."""
        self.group = joined(self.exact, self._twins.group)
        """The same with near-duplicates."""

    def findings(self) -> tuple[Finding, ...]:
        """What is found in the rows as they stand in their files, in the order of KINDS."""
        bad = self._survey.bad_counts
        made = []
        for key in KINDS:
            if bad.get(key):
                refs = tuple(self._survey.bad[key])
                made.append(finding(key, bad[key], self._survey.rows, refs))
            elif key in self._masks and self._masks[key].any():
                made.append(self._finding(key))
        return tuple(made)

    def languages(self) -> tuple[LanguageRows, ...]:
        """The languages that rows are surely in, the most frequent first."""
        counts = np.bincount(self._spoken[self._spoken >= 0], minlength=len(languages.NAMES))
        order = np.argsort(-counts, kind="stable")
        return tuple(
            LanguageRows(name=languages.NAMES[place], rows=int(counts[place]))
            for place in order
            if counts[place]
        )

    def typical(self) -> tuple[tuple[RowRef, ...], tuple[RowRef, ...]]:
        """The rows most like the others, and those least; see studio.preparer.typical."""
        own = np.flatnonzero(self._first == np.arange(len(self._first)))
        most, least = typical.found(self._survey.column("vector"), self._column("words"), own)
        return tuple(self._survey.ref(*one) for one in most), tuple(
            self._survey.ref(*one) for one in least
        )

    @property
    def _spoken(self) -> Places:
        return self._column("language")

    def _column(self, name: str) -> Places:
        return self._survey.column(name).astype(np.int64)

    def _equal(self, name: str) -> Places:
        """For each row the first that is equal in a column; 0 is equal to nothing."""
        values = self._survey.column(name)
        found = firsts(values if values.ndim == 2 else values[:, None])
        nothing = values == 0 if values.ndim == 1 else np.zeros(len(values), bool)
        return np.where(nothing, np.arange(len(values)), found)

    def _found(self) -> dict[str, Mask]:
        rows, marked = np.arange(len(self._survey)), self._survey.marked
        answers = self._column("answer")
        said = answers[answers >= 0]
        self._median = int(np.median(said)) if len(said) else 0
        brief = (answers >= 0) & (answers <= _SHORT) & (self._median >= _USUAL)
        return {
            "duplicate": self._first != rows,
            "near-duplicate": self._twins.of >= 0,
            "too-long": marked(Mark.LONG),
            "cut-answer": marked(Mark.CUT),
            "short-answer": brief,
            "echo": marked(Mark.ECHO),
            "language": self._foreign(),
            "contact": self._survey.column("contact") != 0,
            "blanks": marked(Mark.BLANKS),
        }

    def _foreign(self) -> Mask:
        """Rows that are surely in another language than most."""
        sure = self._spoken >= 0
        counts = np.bincount(self._spoken[sure], minlength=1)
        self._main = int(counts.argmax())
        if counts.max() < _MAIN * max(1, counts.sum()):
            return np.zeros(len(sure), bool)
        return np.asarray(sure & (self._spoken != self._main))

    def _ruled(self) -> tuple[Mask, dict[str, int]]:
        """Which rows the rules leave, and how many each of them took."""
        kept = self.usable.copy()
        dropped: dict[str, int] = {}
        for rule in dict.fromkeys(self._data.drop):
            gone = kept & self._masks[rule]
            dropped[rule] = int(gone.sum())
            kept &= ~gone
        return kept, dropped

    def _mended(self) -> dict[str, int]:
        of = {kind.repair: key for key, kind in KINDS.items() if kind.repair}
        return {
            rule: int((self._masks[of[rule]] & self.kept).sum())
            for rule in dict.fromkeys(self._data.repair)
        }

    def _finding(self, key: str) -> Finding:
        mask = self._masks[key]
        named = np.flatnonzero(mask)[:NAMED_ROWS].tolist()
        refs = tuple(self._survey.ref(row, self._note(key, row)) for row in named)
        count = int(mask.sum())
        return finding(key, count, self._survey.rows, refs, **dict(self._words(key)))

    def _words(self, key: str) -> Iterator[tuple[str, object]]:
        """What the sentences of a finding say beside its count."""
        yield "length", self._data.max_length
        most, longest = self._lengths.fits(0.99), self._longest
        plenty = most <= self._data.max_length or most >= longest
        some = "" if plenty else f"{most} tokens hold 99 % of the rows, "
        yield "fits", f"{some}{longest} {'all of them' if some else 'tokens hold all rows'}"
        if key == "cut-answer":
            whole = int(self._survey.marked(Mark.CUT_WHOLE).sum())
            yield "whole", f", {whole} of them a whole one" if whole else ""
        yield "median", self._median
        if key == "language":
            yield "rest", languages.NAMES[self._main]
            others = self.languages()[1:]
            yield "languages", ", ".join(f"{one.name} {one.rows}" for one in others)
        if key == "contact":
            bits = self._survey.column("contact")
            counts = [(int((bits & (1 << i) != 0).sum()), name) for i, name in enumerate(CONTACT)]
            yield "kinds", ", ".join(f"{name} ({n})" for n, name in counts if n)

    def _note(self, key: str, row: int) -> str:
        if key in ("duplicate", "near-duplicate"):
            like = self._first if key == "duplicate" else self._twins.of
            twin = self._survey.ref(int(like[row]))
            file = f"{twin.file}, " if twin.file != self._survey.ref(row).file else ""
            nearly = "nearly " if key == "near-duplicate" else ""
            return f"{nearly}the same as {file}row {twin.row}"
        if key in ("too-long", "cut-answer"):
            return f"{self._survey.column('tokens')[row]} tokens"
        if key == "language":
            return languages.NAMES[int(self._spoken[row])]
        if key == "contact":
            bits = int(self._survey.column("contact")[row])
            return ", ".join(name for place, name in enumerate(CONTACT) if bits >> place & 1)
        return ""


def split_of(survey: Survey, verdict: Verdict, share: float, seed: int) -> Split:
    """The split of the rows that the rules leave, in their order."""
    kept = verdict.kept
    return Split(
        survey.column("made")[kept],
        verdict.group[kept],
        verdict.exact[kept],
        survey.marked(Mark.EVALUATION)[kept],
        share,
        seed,
    )


def judged(report: DatasetReport, verdict: Verdict, split: Split) -> DatasetReport:
    """A report with all that the rows were found to be."""
    most, least = verdict.typical()
    return msgspec.structs.replace(
        report,
        findings=verdict.findings(),
        typical=most,
        unusual=least,
        languages=verdict.languages(),
        kept_rows=int(verdict.kept.sum()),
        eval_rows=int(split.held_out.sum()),
        dropped=verdict.dropped,
        repaired=verdict.repaired,
    )
