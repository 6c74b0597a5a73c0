"""What the dataset page shows: the shape of a dataset, its rows and tokens, its problems."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from studio.core.errors import StudioError
from studio.core.facts import DatasetReport
from studio.core.problem import Problem
from studio.core.recipe import DataPart, DatasetPart, TrainingPart
from studio.preparer import dataset, fields
from studio.preparer import pieces as pieces_of
from studio.preparer.dataset import Opened, Row
from studio.preparer.messages import BadRow, Sample
from studio.preparer.pieces import Counts
from studio.preparer.progress import Tell, Throttled, silent
from studio.preparer.repairs import mended
from studio.preparer.shapes import Unrecognised
from studio.preparer.survey import Survey
from studio.preparer.tally import FIELD, Tally
from studio.preparer.tokens import Encoder, Tokens
from studio.preparer.verdict import Verdict, judged, split_of

BATCH = 64
NONE_HELD_OUT = Problem(
    field="data.eval_share",
    text="No row can be held out: nearly all are alike, or in one group, and such rows stay on one "
    "side of the split.",
    fix="Add other rows, group by another column, or set eval_share to 0.",
    severity="warning",
)


class Encoded(NamedTuple):
    """A row as it stands in its file, as it is mended, and its tokens: None without a model."""

    row: Row
    sample: Sample | BadRow
    tokens: Tokens | BadRow | None

    @property
    def why(self) -> BadRow | None:
        """Why there is nothing to learn of it."""
        found = (one for one in (self.sample, self.tokens) if isinstance(one, BadRow))
        return next(found, None)


def inspect(
    parts: Sequence[DatasetPart],
    model: Path | None,
    data: DataPart,
    tell: Tell = silent,
    seed: int = TrainingPart().seed,
) -> DatasetReport:
    """Read every row, and with a model count its tokens; `seed` draws the rows held out.

    What is wrong with columns and rows is among the report's problems; raises StudioError where a
    file or the model's tokenizer can't be read.
    """
    tell = Throttled(tell)
    try:
        opened = dataset.open_all(parts)
    except Unrecognised as error:
        return _unrecognised(parts, error)
    amiss = []
    try:
        check_group(opened, data)
    except StudioError as error:
        amiss.append(Problem(field="data.group_by", text=error.text, fix=error.fix))
    with Encoder(model, data) if model else contextlib.nullcontext() as encoder:
        tally = Tally(data, several_files=sum(len(one.files) for one in opened) > 1)
        survey = Survey(data.max_length)
        counts = [Counts() for _ in opened]
        for one in encoded(opened, encoder, data, tell):
            usable, count = counted(one, tally, survey), counts[one.row.part]
            if one.why is not None:
                count.bad(one.why)
            else:
                tokens = one.tokens if usable and isinstance(one.tokens, Tokens) else None
                count.good(one.row, tokens, usable, data.max_length)
        verdict = Verdict(survey, data, tally.spread.lengths(), tally.spread.longest, tell)
        report = _report(opened, tally, counts, encoder, data)
        split = split_of(survey, verdict, data.eval_share, seed)
        if not split.enough:
            amiss.append(NONE_HELD_OUT)
        report = msgspec.structs.replace(report, problems=report.problems + tuple(amiss))
        return judged(report, verdict, split)


def encoded(
    opened: Sequence[Opened], encoder: Encoder | None, data: DataPart, tell: Tell
) -> Iterator[Encoded]:
    """Every row with its tokens, or why it can't be used."""
    everything = dataset.rows(opened, tell, data.group_by)
    while batch := list(itertools.islice(everything, BATCH)):
        samples = [_mended(row.content, data) for row in batch]
        usable = [sample for sample in samples if isinstance(sample, Sample)]
        made: Iterator[Tokens | BadRow | None] = itertools.repeat(None)
        if encoder:
            made = iter(encoder.encode(usable, data))
        for row, sample in zip(batch, samples, strict=True):
            yield Encoded(row, sample, sample if isinstance(sample, BadRow) else next(made))


def counted(one: Encoded, tally: Tally, survey: Survey) -> bool:
    """Count a row; whether it is usable."""
    if one.why is not None:
        tally.bad(one.row, one.why)
        survey.unusable(one.row, one.why)
        return False
    assert isinstance(one.sample, Sample)
    tokens = one.tokens if isinstance(one.tokens, Tokens) else None
    digest = tally.good(one.row, tokens)
    survey.add(one.row, one.sample, tokens, digest)
    return bool(digest)


def check_group(opened: Sequence[Opened], data: DataPart) -> None:
    """Raise StudioError where no dataset has the column that the split is to go by."""
    if data.group_by and not any(fields.has(one.columns, data.group_by) for one in opened):
        columns = dict.fromkeys(name for one in opened for name in one.columns)
        raise StudioError(
            "No such column",
            f"No dataset has the column “{data.group_by}” to split by.",
            f"Choose one of {', '.join(columns)}, or leave data.group_by empty.",
        )


def _mended(content: Sample | BadRow, data: DataPart) -> Sample | BadRow:
    return content if isinstance(content, BadRow) else mended(content, data.repair)


def _report(
    opened: Sequence[Opened],
    tally: Tally,
    counts: Sequence[Counts],
    encoder: Encoder | None,
    data: DataPart,
) -> DatasetReport:
    pieces = tuple(pieces_of.piece(*pair) for pair in zip(opened, counts, strict=True))
    first = min(pieces, key=lambda one: one.confidence)
    bin_tokens, histogram = tally.spread.bars()
    lengths = tally.spread.lengths()
    return DatasetReport(
        path=", ".join(str(one.path) for one in opened),
        format=_all(one.format for one in pieces),
        confidence=first.confidence,
        reason=first.reason,
        columns=first.columns,
        roles=first.roles,
        kind=_all(one.kind for one in pieces),
        encoding=_all(one.encoding for one in pieces),
        learnt=first.learnt,
        unmapped=first.unmapped,
        alternatives=first.alternatives,
        parts=pieces,
        rows=tally.rows,
        usable_rows=tally.usable,
        passed_rows=tally.passed,
        tokens=tally.tokens,
        trained_tokens=tally.trained,
        trained_share=tally.trained / tally.tokens if tally.tokens else 0.0,
        max_tokens=tally.spread.longest,
        mean_tokens=tally.spread.tokens / tally.spread.rows if tally.spread.rows else 0.0,
        cut_rows=tally.cut,
        bin_tokens=bin_tokens,
        histogram=histogram,
        lengths=lengths,
        padding_share=lengths.padding(data.max_length),
        packing_share=lengths.packing(data.max_length),
        template=encoder.template.source if encoder else "",
        problems=tally.problems(encoder.template if encoder else None)
        + tuple(pieces_of.remarks(opened)),
    )


def _unrecognised(parts: Sequence[DatasetPart], error: Unrecognised) -> DatasetReport:
    field = FIELD if error.place is None else f"{FIELD}[{error.place}]"
    problem = Problem(field=field, text=error.text, fix=error.fix)
    path = ", ".join(part.path for part in parts)
    report = DatasetReport(
        path=path, format="", confidence=0.0, columns=error.columns, problems=(problem,)
    )
    if error.about is not None:
        report = msgspec.structs.replace(
            report, kind=error.about.name, encoding=error.about.encoding
        )
    if error.recognition is None:
        return report
    return msgspec.structs.replace(report, **pieces_of.recognised(error.recognition, error.columns))


def _all(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, names)))
