"""The rows of plain text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from studio.preparer.progress import Tell
from studio.preparer.records import Record, opened


def plain(path: Path, tell: Tell) -> Iterator[Record]:
    """A row is a paragraph where blank lines part paragraphs, else a line."""
    with opened(path, tell) as lines:
        numbered = list(enumerate((line.rstrip("\n") for line in lines), 1))
    grouped = itertools.groupby(numbered, key=lambda item: bool(item[1].strip()))
    rows = [list(group) for filled, group in grouped if filled]
    if len(rows) == 1:
        rows = [[line] for line in rows[0]]
    for row in rows:
        yield Record(path.name, row[0][0], {"text": "\n".join(line for _, line in row)})
