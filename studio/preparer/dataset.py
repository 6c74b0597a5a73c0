"""The datasets of a recipe as one stream of rows, each usable or with what is wrong with it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import datasets
from studio.preparer import fields, formats, shapes
from studio.preparer.formats import About
from studio.preparer.messages import BadRow, Sample
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell, silent
from studio.preparer.records import Record
from studio.preparer.samples import sample
from studio.preparer.shapes import Recognition, Unrecognised
from studio.preparer.sources import files_of


class Row(msgspec.Struct, frozen=True):
    """One row of one file. `row` is its line number from 1; `content` says why it can't be used
    where it can't, `note` what is odd about it. `evaluation` rows come from a file that its name
    sets aside for evaluation. `part` is the place of its dataset in the recipe, from 0. Rows of
    equal `group`, a number that stands for a column's value, belong together; 0 is alone."""

    file: str
    row: int
    content: Sample | BadRow
    weight: float = 1.0
    evaluation: bool = False
    part: int = 0
    note: str = ""
    group: int = 0


class Opened(msgspec.Struct, frozen=True):
    """One dataset whose shape is known. `about` says what its first file is."""

    part: DatasetPart
    path: Path
    train: list[DataFile]
    evaluation: list[DataFile]
    recognition: Recognition
    columns: tuple[str, ...]
    about: About

    @property
    def files(self) -> list[DataFile]:
        return [*self.train, *self.evaluation]


def open_all(parts: Sequence[DatasetPart]) -> list[Opened]:
    """Find the files and recognise their shapes; StudioError where that can't be done."""
    if not parts:
        raise StudioError("No dataset", "No dataset is chosen.", "Choose a file or folder.")
    return [_open(part, place if len(parts) > 1 else None) for place, part in enumerate(parts)]


def rows(opened: Sequence[Opened], tell: Tell, group_by: str = "") -> Iterator[Row]:
    """Every row of every file in the order of the recipe; of a limited dataset those drawn."""
    for place, one in enumerate(opened):
        for files, aside in ((one.train, False), (one.evaluation, True)):
            for record in _records(files, one.part.limit, tell):
                yield row_of(one, place, record, aside, group_by)


def row_of(one: Opened, place: int, record: Record, aside: bool, group_by: str = "") -> Row:
    """The row that a record of the dataset at this place of the recipe is."""
    return Row(
        record.file,
        record.row,
        _content(record, one.recognition),
        one.part.weight,
        aside or record.aside,
        place,
        record.note,
        _group(record, group_by),
    )


def _group(record: Record, column: str) -> int:
    value = fields.at(record.values, column) if column else None
    if value is None or value == "":
        return 0
    said = str(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), "little")


def drawn(count: int, limit: int) -> set[int]:
    """The places of `limit` rows out of `count`, evenly spread and always the same."""
    if count <= limit:
        return set(range(count))
    return set(heapq.nsmallest(limit, range(count), key=_draw))


def _draw(place: int) -> bytes:
    return blake2b(place.to_bytes(8, "little"), digest_size=8, person=b"limit").digest()


def _records(files: Sequence[DataFile], limit: int, tell: Tell) -> Iterator[Record]:
    every = itertools.chain.from_iterable(formats.read(file, tell) for file in files)
    if not limit:
        yield from every
        return
    places = drawn(sum(1 for _ in every), limit)
    again = itertools.chain.from_iterable(formats.read(file, tell) for file in files)
    yield from (record for place, record in enumerate(again) if place in places)


def _open(part: DatasetPart, place: int | None) -> Opened:
    path = datasets.resolve(part)
    files = files_of(path, part)
    about = formats.about(files.train[0])
    first = itertools.islice(formats.read(files.train[0], silent), 2 * shapes.LOOKED_AT)
    known = [record.values for record in first if not record.problem][: shapes.LOOKED_AT]
    if not known:
        raise StudioError(
            "No usable rows",
            f"None of the first rows of “{files.train[0].name}” can be read.",
            "Choose another file, or fix this one.",
        )
    try:
        recognition = shapes.recognise(known, part.columns)
    except Unrecognised as error:
        error.about, error.place = about, place
        raise
    columns = shapes.columns_of(known)
    return Opened(part, path, files.train, files.evaluation, recognition, columns, about)


def _content(record: Record, recognition: Recognition) -> Sample | BadRow:
    if record.problem:
        return BadRow(record.problem, record.fix)
    try:
        return sample(record.values, recognition.roles)
    except BadRow as bad:
        return bad
