"""Reading data files of any kind as records, each with its line, however broken they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from studio.core.errors import StudioError
from studio.preparer import column_rows, encodings, json_rows, packed, table_rows, text_rows
from studio.preparer.layout import KINDS, OFFICE
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell, silent
from studio.preparer.records import Record, nothing_in

READERS: dict[str, Callable[[DataFile, Tell], Iterator[Record]]] = {
    "parquet": column_rows.parquet,
    "arrow": column_rows.arrow,
    "json": json_rows.document,
    "jsonl": json_rows.lines,
    "csv": table_rows.delimited,
    "tsv": table_rows.delimited,
    "txt": text_rows.plain,
    "md": text_rows.markdown,
}
NAMES = {
    "parquet": "Parquet", "arrow": "Arrow", "json": "JSON", "jsonl": "JSON Lines", "csv": "CSV",
    "tsv": "TSV", "txt": "text", "md": "Markdown",
}  # fmt: skip
_BY_SUFFIX = {"ndjson": "jsonl", "markdown": "md", "feather": "arrow"} | {n: n for n in READERS}
_BY_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}
_FOREIGN = {
    b"version https://git-lfs": ("a pointer that Git LFS left", "Fetch it with “git lfs pull”."),
    b"<!doctype html": ("a web page", "Download the file itself."),
    b"<html": ("a web page", "Download the file itself."),
    b"sqlite format 3": ("an SQLite database", "Export the table as CSV."),
    b"%pdf": ("a PDF", "Save its text as .txt or .md."),
    b"orc": ("an ORC file", "Save it as Parquet."),
    b"obj\x01": ("an Avro file", "Save it as Parquet."),
    b"7z\xbc\xaf": ("a 7-Zip archive", "Unpack it and choose what was in it."),
    b"rar!": ("a RAR archive", "Unpack it and choose what was in it."),
    b"\x80\x04\x95": ("a Python pickle, which can run code when opened", "Save it as Parquet."),
    b"\xd0\xcf\x11\xe0": ("an old Office file", "Save the table as CSV in UTF-8."),
    b"gguf": ("a model", "Choose a file with rows."),
}
_TAR_AT = 257


class About(NamedTuple):
    """What a file is: a key of READERS, how it is packed, and a text's encoding."""

    kind: str
    packing: str = ""
    encoding: str = ""
    guessed: bool = False

    @property
    def name(self) -> str:
        return NAMES[self.kind] + (f", {self.packing}" if self.packing else "")


def read(file: DataFile | Path, tell: Tell = silent) -> Iterator[Record]:
    """The rows of a file in their order. StudioError where the file as a whole is unusable."""
    file = DataFile(file) if isinstance(file, Path) else file
    try:
        empty = True
        for record in READERS[_kind(file)](file, tell):
            empty = False
            yield record
        if empty:
            raise nothing_in(file.name)
    except OSError as error:
        raise unreadable(file, error) from error
    except UnicodeError as error:
        raise StudioError(
            "Not a text file",
            f"“{file.name}” is no text in the encoding that its first bytes announce: {error}.",
            "Save it again as UTF-8.",
        ) from error


def about(file: DataFile | Path) -> About:
    """What a file is, by its first bytes and its name; StudioError where it can't be read."""
    file = DataFile(file) if isinstance(file, Path) else file
    try:
        kind, packing = _kind(file), packed.packing(file.path)
        if kind in ("parquet", "arrow"):
            return About(kind, packing)
        encoding = encodings.of_file(file)
        return About(kind, packing, encoding.name, encoding.guessed)
    except OSError as error:
        raise unreadable(file, error) from error
    except UnicodeError as error:
        raise encodings.no_text(file, f"{error}", "Save it again as UTF-8.") from error


def _kind(file: DataFile) -> str:
    _refuse_office(file)
    start = packed.head(file, 512)
    for magic, kind in _BY_MAGIC.items():
        if start.startswith(magic):
            return kind
    _refuse_foreign(file, start)
    named = _BY_SUFFIX.get(file.suffix.removeprefix("."), "")
    if named not in ("json", "jsonl", ""):
        return named
    with contextlib.suppress(*() if named else (encodings.NoText,)):
        encodings.of_file(file)  # which says what is empty, and what is no text
        if named or json_rows.looks_like_json(file):
            return "json" if json_rows.is_document(file, named) else "jsonl"
    raise StudioError(
        "Unknown kind of file",
        f"The studio can't read the kind of file that “{file.name}” is.",
        f"Choose a file of one of these kinds: {KINDS}.",
    )


def _refuse_office(file: DataFile) -> None:
    if file.path.suffix.casefold() in OFFICE:
        raise StudioError(
            "Not a data file",
            f"“{file.name}” is an Office file.",
            "Save the table as CSV in UTF-8, or the text as .txt.",
        )


def _refuse_foreign(file: DataFile, start: bytes) -> None:
    lowered = start.lstrip().lower()
    found = next((said for magic, said in _FOREIGN.items() if lowered.startswith(magic)), None)
    if start[_TAR_AT : _TAR_AT + 5] == b"ustar":
        found = ("a tar archive", "Unpack it and choose the folder.")
    if found:
        raise StudioError("Not a data file", f"“{file.name}” is {found[0]}.", found[1])


def unreadable(file: DataFile, error: OSError) -> StudioError:
    """The error of a file that the system doesn't let be read."""
    return StudioError(
        "Dataset can't be read",
        f"The system refuses to read “{file.name}”: {error.strerror or error}.",
        "Check that the file is still there and that you may read it.",
    )
