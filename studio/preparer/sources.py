"""From a path to the data files it stands for, and from a file to text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart

STRUCTURED = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
PLAIN = (".txt", ".md")
KINDS = ", ".join(suffix.removeprefix(".") for suffix in (*STRUCTURED, *PLAIN))
_EVALUATION = re.compile(
    r"(^|[^a-z])(valid|validation|val|dev|eval|test|heldout|held-out)([^a-z]|$)"
)
_COMPRESSED = {b"\x1f\x8b": "gzip", b"PK": "zip", b"\x28\xb5": "zstandard", b"BZ": "bzip2"}


class Files(NamedTuple):
    """The files to learn from, and those that their names set aside for evaluation."""

    train: list[Path]
    evaluation: list[Path]


def files_of(path: Path, part: DatasetPart) -> Files:
    """The data files of a file or folder; StudioError where there is none to learn from.

    In a folder, files whose names say test, validation and the like are for evaluation. A `split`
    keeps only the files that have it in their names.
    """
    if path.is_file():
        return Files([path], [])
    found = _in_folder(path)
    if part.split:
        found = [file for file in found if part.split.casefold() in file.stem.casefold()]
    evaluation = [file for file in found if _EVALUATION.search(file.stem.casefold())]
    train = [file for file in found if file not in evaluation] or evaluation
    if not train:
        raise StudioError(
            "No data in this folder",
            f"The folder “{path.name}” holds no file that can be learnt from"
            + (f" with “{part.split}” in its name." if part.split else "."),
            f"Choose a folder with files of these kinds: {KINDS}.",
        )
    return Files(train, evaluation if train is not evaluation else [])


def encoding_of(path: Path) -> str:
    """The text encoding by its byte-order mark, or by where its zero bytes stand; else UTF-8.

    Raises StudioError for an empty file and for what is no text at all.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise StudioError(
            "Dataset is empty", f"There is no row in “{path.name}”.", "Choose another file."
        )
    for mark, kind in _COMPRESSED.items():
        if head.startswith(mark) and not head[:64].isascii():
            raise _no_text(
                path, f"it is compressed ({kind})", "Unpack it and choose what was in it."
            )
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        return _encoding_by_zeros(path, head)
    return "utf-8-sig"


def _encoding_by_zeros(path: Path, head: bytes) -> str:
    odd, even = head[1::2].count(0), head[0::2].count(0)
    if odd > len(head) // 4 and not even:
        return "utf-16-le"
    if even > len(head) // 4 and not odd:
        return "utf-16-be"
    raise _no_text(path, "it holds zero bytes", f"Choose a file of one of these kinds: {KINDS}.")


def _in_folder(path: Path) -> list[Path]:
    shown = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
    ]
    structured = [file for file in shown if file.suffix.casefold() in STRUCTURED]
    return structured or [
        file
        for file in shown
        if file.suffix.casefold() in PLAIN and file.stem.casefold() not in ("readme", "license")
    ]


def _no_text(path: Path, why: str, fix: str) -> StudioError:
    return StudioError("Not a text file", f"“{path.name}” can't be read: {why}.", fix)
