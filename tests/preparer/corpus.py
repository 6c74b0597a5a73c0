"""Good and bad data files, each with the verdict that a report must come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

Q, A = "What is asked?", "Où? It’s “said”."
"""What the first usable row asks and answers, unless a case says otherwise."""
CHAT = [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]
PAIR = {"prompt": Q, "completion": A}
Content = bytes | Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One dataset: a file, or a folder where `files` has more than one or a name with “/”.

    `rows` are all rows, `bad` the numbers of those named as problems, `usable` how many can be
    learnt (by default all but the bad). `first` is what the first usable row holds: (question,
    answer) or a text. A case with `title` is refused with that title; `said` must stand in the
    refusal or among the problems.
    """

    name: str
    files: dict[str, Content]
    shape: str = "prompt and completion"
    kind: str = ""
    encoding: str = ""
    rows: int = 2
    bad: tuple[int, ...] = ()
    usable: int | None = None
    first: Any = (Q, A)
    part: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    said: str = ""
    evaluation: int = 0

    def write(self, folder: Path) -> Path:
        """The files under a folder; the path to give to the studio."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            else:
                path.write_bytes(content)
        alone = len(self.files) == 1 and "/" not in next(iter(self.files))
        return folder / next(iter(self.files)) if alone else folder


def good(name: str, file: str, content: Content, **verdict: Any) -> Case:
    """A case of one file."""
    return Case(name, {file: content}, **verdict)


def refused(name: str, file: str, content: Content, title: str, **verdict: Any) -> Case:
    """A case of one file that can't be used at all."""
    return Case(name, {file: content}, title=title, **verdict)


def jsonl(*rows: object, end: str = "\n", encoding: str = "utf-8") -> bytes:
    """Rows, or lines as they are, one a line."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    return (end.join(lines) + end).encode(encoding)


def twice(row: dict[str, Any], file: str = "rows.jsonl", **verdict: Any) -> Case:
    """A case of two equal rows in JSON Lines, named after its shape."""
    name = verdict.pop("name")
    return good(name, file, jsonl(row, row), **verdict)


def table(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows as an Arrow table."""
    return pa.Table.from_pylist(list(rows))


def parquet(rows: Sequence[dict[str, Any]], **options: Any) -> Content:
    return lambda path: pq.write_table(table(rows), path, **options)


def arrow_stream(rows: Sequence[dict[str, Any]]) -> Content:
    def write(path: Path) -> None:
        made = table(rows)
        with pa.ipc.new_stream(str(path), made.schema) as writer:
            writer.write_table(made)

    return write


def arrow_file(rows: Sequence[dict[str, Any]], **options: Any) -> Content:
    def write(path: Path) -> None:
        made = table(rows)
        chosen = pa.ipc.IpcWriteOptions(**options)
        with pa.ipc.new_file(str(path), made.schema, options=chosen) as writer:
            writer.write_table(made)

    return write


def within(pack: Callable[[bytes], bytes], made: Content) -> Content:
    """Another content, packed."""

    def write(path: Path) -> None:
        inner = path.with_name("unpacked")
        content = made if isinstance(made, bytes) else None
        if content is None:
            made(inner)  # type: ignore[operator]
            content = inner.read_bytes()
            inner.unlink()
        path.write_bytes(pack(content))

    return write
