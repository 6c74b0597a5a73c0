"""The datasets of a recipe as one stream of rows, each usable or with what is wrong with it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import datasets
from studio.preparer import formats, shapes
from studio.preparer.messages import BadRow, Sample, sample
from studio.preparer.progress import Tell
from studio.preparer.records import Record
from studio.preparer.shapes import Recognition
from studio.preparer.sources import files_of


class Row(msgspec.Struct, frozen=True):
    """One row of one file. `row` is its line number from 1; `content` says why it can't be used
    where it can't. `evaluation` rows come from a file that its name sets aside for evaluation."""

    file: str
    row: int
    content: Sample | BadRow
    weight: float = 1.0
    evaluation: bool = False


class Opened(msgspec.Struct, frozen=True):
    """One dataset whose shape is known."""

    part: DatasetPart
    path: Path
    train: list[Path]
    evaluation: list[Path]
    recognition: Recognition
    columns: tuple[str, ...]


def open_all(parts: Sequence[DatasetPart]) -> list[Opened]:
    """Find the files and recognise their shapes; StudioError where that can't be done."""
    if not parts:
        raise StudioError("No dataset", "No dataset is chosen.", "Choose a file or folder.")
    return [_open(part) for part in parts]


def rows(opened: Sequence[Opened], tell: Tell) -> Iterator[Row]:
    """Every row of every file in the order of the recipe."""
    for one in opened:
        for file in (*one.train, *one.evaluation):
            for record in formats.read(file, tell):
                content = _content(record, one.recognition)
                aside = file in one.evaluation
                yield Row(record.file, record.row, content, one.part.weight, aside)


def _open(part: DatasetPart) -> Opened:
    path = datasets.resolve(part)
    files = files_of(path, part)
    first = itertools.islice(formats.read(files.train[0]), 2 * shapes.LOOKED_AT)
    known = [record.values for record in first if not record.problem][: shapes.LOOKED_AT]
    if not known:
        raise StudioError(
            "No usable rows",
            f"None of the first rows of “{files.train[0].name}” can be read.",
            "Choose another file, or fix this one.",
        )
    columns = tuple(dict.fromkeys(name for values in known for name in values))
    recognition = shapes.recognise(known, part.columns)
    return Opened(part, path, files.train, files.evaluation, recognition, columns)


def _content(record: Record, recognition: Recognition) -> Sample | BadRow:
    if record.problem:
        return BadRow(record.problem, record.fix)
    try:
        return sample(record.values, recognition.roles)
    except BadRow as bad:
        return bad
