"""Making own sets: passages of texts, and copies of datasets whose rows can be edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.core.own_sets import Built, Origin
from studio.core.preparing import BuildPassages
from studio.core.problem import Problem, Severity
from studio.core.recipe import DatasetPart
from studio.library import own_datasets
from studio.library.folders import Home
from studio.library.own_datasets import ROWS, Note
from studio.preparer import dataset, formats, layout, sources
from studio.preparer.messages import BadRow, Passed, Sample, plain, printable
from studio.preparer.packed import DataFile
from studio.preparer.passages import Measure, Piece, passages
from studio.preparer.progress import Tell, Throttled
from studio.preparer.records import Record
from studio.preparer.tokens import Encoder

MOST_PROBLEMS = 20
_TEXTS = ("txt", "md")
_KEPT_AS_THEY_ARE = {"chosen", "answers", "label", "input_ids"}
"""Roles of rows that hold more than one good answer, which as a chat would lose the rest."""
Row = dict[str, Any]


def from_texts(ask: BuildPassages, tell: Tell) -> Built:
    """The own set asked for; StudioError where there is no text, or sizes make no sense."""
    _check_sizes(ask)
    home, told = Home(Path(ask.home)), Throttled(tell)
    if not ask.model:
        return _from_texts(home, ask, len, told)
    with Encoder(Path(ask.model)) as encoder:
        return _from_texts(home, ask, encoder.count, told)


def copy(home: Home, name: str, part: DatasetPart, tell: Tell) -> Built:
    """An own set of a dataset's usable rows, each as a chat, a text, or as it stands where it
    compares answers. Held-out files are left out, a `limit` is not heeded."""
    (opened,) = dataset.open_all([msgspec.structs.replace(part, limit=0)])
    making = _Making(home, name, "copy", part.path)
    told = Throttled(tell)
    if _KEPT_AS_THEY_ARE & set(opened.recognition.roles):
        found = (_as_it_is(one) for file in opened.train for one in formats.read(file, told))
    else:
        found = (_as_chat(one) for one in dataset.rows([opened], told) if not one.evaluation)
    made = making.write(found)
    if opened.evaluation:
        text = f"{len(opened.evaluation)} held-out files were left out."
        more = Problem(field="dataset", text=text, severity="info")
        made = msgspec.structs.replace(made, problems=(*made.problems, more))
    return msgspec.structs.replace(made, files=len(opened.train))


def _from_texts(home: Home, ask: BuildPassages, measure: Measure, tell: Tell) -> Built:
    files = list(_files(Path(ask.source)))

    def found() -> Iterator[Row | Problem]:
        for file in files:
            try:
                for text in _texts(file, tell):
                    yield from _cut(file, text, ask, measure)
            except StudioError as error:
                yield Problem(field=file.name, text=error.text, fix=error.fix, severity="warning")

    made = _Making(home, ask.name, "folder", ask.source).write(found())
    return msgspec.structs.replace(made, files=len(files))


def _cut(
    file: DataFile, text: Iterable[Piece], ask: BuildPassages, measure: Measure
) -> Iterator[Row]:
    for passage in passages(text, ask.size, measure, ask.overlap):
        yield {"text": passage.text.strip(), "file": file.name, "line": passage.line}


def _texts(file: DataFile, tell: Tell) -> Iterator[Iterable[Piece]]:
    """The texts of a file: all of it, or in a file of rows each row's own."""
    if formats.about(file).kind in _TEXTS:
        yield _pieces(formats.read(file, tell))
        return
    (opened,) = dataset.open_all([DatasetPart(path=str(file.path))])
    if "text" not in opened.recognition.roles:
        raise StudioError(
            "Not a text",
            f"“{file.name}” holds {opened.recognition.format}, no plain texts, and is left out.",
            "Make a copy of it instead: finetune-studio datasets copy FILE --out NAME.",
        )
    for row in dataset.rows([opened], tell):
        if isinstance(row.content, Sample):
            yield [Piece(row.content.text, row.row)]


def _pieces(records: Iterable[Record]) -> Iterator[Piece]:
    """The blocks of a text file, with a blank line between those that have one."""
    end = 0
    for record in records:
        if not record.problem:
            text = printable(str(record.values["text"]))
            yield Piece(text, record.row, "\n" if record.row == end + 1 else "\n\n")
            end = record.row + text.count("\n")


def _files(source: Path) -> Iterator[DataFile]:
    if not source.exists():
        raise StudioError(
            "Nothing to read", f"There is no file or folder “{source}”.", "Choose one that exists."
        )
    if source.is_file():
        yield from sources.files_of(source, DatasetPart(path=str(source))).train
        return
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if layout.readable(name) and path.is_file() and path.suffix.casefold() != ".zip":
            yield DataFile(path, label=name)


def _as_chat(row: dataset.Row) -> Row | Problem:
    content = row.content
    if isinstance(content, BadRow):
        return _left_out(row.file, row.row, content)
    if content.text:
        return {"text": content.text}
    tools = {"tools": list(content.tools)} if content.tools else {}
    return {"messages": list(content.messages)} | tools


def _as_it_is(record: Record) -> Row | Problem:
    if record.problem:
        return _left_out(record.file, record.row, BadRow(record.problem, record.fix))
    try:
        values: Row = plain(record.values)
        return values
    except BadRow as bad:
        return _left_out(record.file, record.row, bad)


def _left_out(file: str, row: int, bad: BadRow) -> Problem:
    severity: Severity = "info" if isinstance(bad, Passed) else "warning"
    text = f"Row {row} of {file} {bad.why} and was left out."
    return Problem(field="dataset", row=row, text=text, fix=bad.fix, severity=severity)


class _Making:
    """One set on its way: rows are counted and written as they come."""

    def __init__(self, home: Home, name: str, origin: Origin, source: str) -> None:
        self._home = home
        self._name = own_datasets.free_name(home, name)
        self._note = Note(origin=origin, source=source)
        self._problems: list[Problem] = []
        self._rows = self._left_out = 0

    def write(self, found: Iterable[Row | Problem]) -> Built:
        """The set; StudioError where nothing of it is a row."""

        def fill(path: Path) -> None:
            with path.open("wb") as file:
                self._take(found, file.write)
            if not self._rows:
                raise StudioError(
                    "No usable rows",
                    f"There is nothing in “{self._note.source}” to make a set of.",
                    "Choose another file or folder.",
                    self._problems,
                )

        folder = own_datasets.create(self._home, self._name, self._note, fill)
        return Built(
            name=folder.name,
            path=str(folder / ROWS),
            rows=self._rows,
            left_out=self._left_out,
            problems=tuple(self._problems),
        )

    def _take(self, found: Iterable[Row | Problem], write: Callable[[bytes], object]) -> None:
        for one in found:
            if isinstance(one, Problem):
                self._left_out += 1
                if len(self._problems) < MOST_PROBLEMS:
                    self._problems.append(one)
            else:
                write(msgspec.json.encode(one) + b"\n")
                self._rows += 1


def _check_sizes(ask: BuildPassages) -> None:
    if ask.size < 1 or not 0 <= ask.overlap < ask.size:
        raise StudioError(
            "Sizes make no sense",
            f"Passages of {ask.size} can't share {ask.overlap} with the one before.",
            "Choose an overlap that is smaller than the passages.",
        )
