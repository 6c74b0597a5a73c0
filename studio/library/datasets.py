"""Names of datasets to files, and how far the sample's held-out rows are from its training rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import hub_datasets, resources

SAMPLE = hub_datasets.SAMPLE


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """Held-out rows against training rows, as shares from 0 to 1.

    `shared_values` is the share of held-out answers' values that some training answer has as
    well; `shared_words` the same for the words of those values. `new_patterns` is the share of
    held-out rows whose sentence, its values taken out, stands in no training row.
    """

    shared_values: float
    shared_words: float
    new_patterns: float


def resolve(part: DatasetPart) -> Path:
    """The file or folder of a dataset; StudioError where there is none."""
    if part.path == SAMPLE:
        return resources.path("sample", "train.jsonl")
    try:
        path = Path(part.path).expanduser()
        if part.path and path.exists():
            return path.absolute()
    except (OSError, RuntimeError, ValueError):  # names that no system takes, homes of nobody
        pass
    if hub_datasets.hub_id(part):
        raise hub_datasets.missing(part)
    raise StudioError(
        "Dataset not found",
        f"There is no file or folder “{part.path}”.",
        "Choose a file that exists, the name of an own set, or “sample” for the dataset that "
        "comes with the studio.",
    )


def score_rows(part: DatasetPart) -> Path | None:
    """The rows with which answers are scored; only the sample dataset brings its own."""
    return resources.path("sample", "heldout.jsonl") if part.path == SAMPLE else None


def sample_overlap() -> Overlap:
    """The overlap of the sample dataset's two files."""
    train = _rows(resources.path("sample", "train.jsonl"))
    return overlap(train, _rows(resources.path("sample", "heldout.jsonl")))


def overlap(
    train: Iterable[tuple[str, dict[str, object]]], heldout: Iterable[tuple[str, dict[str, object]]]
) -> Overlap:
    """Compare rows given as (note, answer); raises ValueError without held-out rows."""
    seen, rows = list(train), list(heldout)
    if not rows:
        raise ValueError("no held-out rows")
    patterns = {_pattern(*row) for row in seen}
    new = sum(_pattern(*row) not in patterns for row in rows)
    return Overlap(
        shared_values=_shared(_values(rows), set(_values(seen))),
        shared_words=_shared(_words(rows), set(_words(seen))),
        new_patterns=new / len(rows),
    )


def _rows(path: Path) -> list[tuple[str, dict[str, object]]]:
    chats = [json.loads(line)["messages"] for line in path.read_text("utf-8").splitlines()]
    return [(chat[0]["content"], json.loads(chat[-1]["content"])) for chat in chats]


def _pattern(note: str, answer: dict[str, object]) -> str:
    for field, value in answer.items():
        note = note.replace(str(value), f"{{{field}}}")
    return note


def _values(rows: list[tuple[str, dict[str, object]]]) -> list[str]:
    return [str(value).casefold() for _, answer in rows for value in answer.values()]


def _words(rows: list[tuple[str, dict[str, object]]]) -> list[str]:
    return [word for value in _values(rows) for word in value.split()]


def _shared(values: list[str], seen: set[str]) -> float:
    return sum(value in seen for value in values) / len(values)
