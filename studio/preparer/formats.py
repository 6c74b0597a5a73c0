"""Reading data files of any kind as records, each with its line, however broken they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from studio.core.errors import StudioError
from studio.preparer import json_rows, table_rows, text_rows
from studio.preparer.progress import Tell, silent
from studio.preparer.records import Record, nothing_in
from studio.preparer.sources import KINDS, encoding_of

READERS: dict[str, Callable[[Path, Tell], Iterator[Record]]] = {
    "parquet": table_rows.parquet,
    "json": json_rows.array,
    "jsonl": json_rows.lines,
    "csv": table_rows.delimited,
    "tsv": table_rows.delimited,
    "txt": text_rows.plain,
}
_BY_SUFFIX = {"ndjson": "jsonl", "md": "txt"} | {name: name for name in READERS}


def read(path: Path, tell: Tell = silent) -> Iterator[Record]:
    """The rows of a file in their order. StudioError where the file as a whole is unusable."""
    try:
        empty = True
        for record in READERS[kind(path)](path, tell):
            empty = False
            yield record
        if empty:
            raise nothing_in(path)
    except OSError as error:
        raise StudioError(
            "Dataset can't be read",
            f"The system refuses to read “{path.name}”: {error.strerror or error}.",
            "Check that the file is still there and that you may read it.",
        ) from error
    except UnicodeError as error:
        raise StudioError(
            "Not a text file",
            f"“{path.name}” is no text in the encoding that its first bytes announce: {error}.",
            "Save it again as UTF-8.",
        ) from error


def kind(path: Path) -> str:
    """What the file is, by its first bytes and its name: a key of READERS."""
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    named = _BY_SUFFIX.get(path.suffix.casefold().removeprefix("."), "")
    if named == "parquet":
        return named
    first = _first_sign(path)
    if named in ("jsonl", "") and first == "[":
        return "json"
    if named or first == "{":
        return named or "jsonl"
    raise StudioError(
        "Unknown kind of file",
        f"The studio can't read the kind of file that “{path.name}” is.",
        f"Choose a file of one of these kinds: {KINDS}.",
    )


def _first_sign(path: Path) -> str:
    with path.open("r", encoding=encoding_of(path), errors="replace") as file:
        for line in file:
            if line.strip():
                return line.strip()[0]
    raise nothing_in(path)
