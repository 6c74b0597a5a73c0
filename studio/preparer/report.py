"""What the dataset page shows: the shape of a dataset, its rows and tokens, its problems."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from studio.core.facts import DatasetReport
from studio.core.problem import Problem
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import dataset
from studio.preparer import pieces as pieces_of
from studio.preparer.dataset import Opened, Row
from studio.preparer.messages import BadRow, Sample
from studio.preparer.pieces import Counts
from studio.preparer.progress import Tell, Throttled, silent
from studio.preparer.shapes import Unrecognised
from studio.preparer.tally import FIELD, Tally
from studio.preparer.tokens import Encoder, Tokens

BATCH = 64
BINS = 24


def inspect(
    parts: Sequence[DatasetPart], model: Path | None, data: DataPart, tell: Tell = silent
) -> DatasetReport:
    """Read every row, and with a model count its tokens.

    What is wrong with columns and rows is among the report's problems; raises StudioError where a
    file or the model's tokenizer can't be read.
    """
    try:
        opened = dataset.open_all(parts)
    except Unrecognised as error:
        return _unrecognised(parts, error)
    with Encoder(model, data) if model else contextlib.nullcontext() as encoder:
        tally = Tally(data, several_files=sum(len(one.files) for one in opened) > 1)
        counts = [Counts() for _ in opened]
        for row, tokens in encoded(opened, encoder, data, Throttled(tell)):
            count = counts[row.part]
            if isinstance(tokens, BadRow):
                tally.bad(row, tokens)
                count.bad(tokens)
            else:
                usable = tally.good(row, tokens)
                count.good(row, tokens if usable else None, bool(usable), data.max_length)
        return _report(opened, tally, counts, encoder)


def encoded(
    opened: Sequence[Opened], encoder: Encoder | None, data: DataPart, tell: Tell
) -> Iterator[tuple[Row, Tokens | BadRow | None]]:
    """Every row with its tokens (None without a model), or why it can't be used."""
    everything = dataset.rows(opened, tell)
    while batch := list(itertools.islice(everything, BATCH)):
        usable = [row.content for row in batch if isinstance(row.content, Sample)]
        made: Iterator[Tokens | BadRow | None] = itertools.repeat(None)
        if encoder:
            made = iter(encoder.encode(usable, data))
        for row in batch:
            yield row, row.content if isinstance(row.content, BadRow) else next(made)


def _report(
    opened: Sequence[Opened], tally: Tally, counts: Sequence[Counts], encoder: Encoder | None
) -> DatasetReport:
    pieces = tuple(pieces_of.piece(*pair) for pair in zip(opened, counts, strict=True))
    first = min(pieces, key=lambda one: one.confidence)
    bin_tokens, histogram = _histogram(tally.lengths)
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
        max_tokens=tally.longest,
        mean_tokens=sum(tally.lengths) / len(tally.lengths) if tally.lengths else 0.0,
        cut_rows=tally.cut,
        bin_tokens=bin_tokens,
        histogram=histogram,
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


def _histogram(lengths: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    if not lengths:
        return 0, ()
    width = max(1, -(-(max(lengths) + 1) // BINS))
    counts = [0] * (max(lengths) // width + 1)
    for length in lengths:
        counts[length // width] += 1
    return width, tuple(counts)
