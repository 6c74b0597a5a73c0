"""What the command line says: results on standard output, progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from studio.cli.progress import Line
from studio.core import events
from studio.core.errors import StudioError
from studio.core.events import AnyEvent
from studio.core.problem import Problem


class Console:
    """Speaks JSON lines (`json`), or to a person."""

    def __init__(self, json: bool) -> None:
        self.json = json
        self._line = Line(sys.stderr)

    def hear(self, event: AnyEvent) -> None:
        """An event of a job, as it stands in its log; people see it as progress."""
        if self.json:
            self._write(events.encode(event))
        else:
            self._line.hear(event)

    def more(self, event: AnyEvent, **known: Any) -> None:
        """An event with what belongs to it and is in no log, for JSON alone."""
        if self.json:
            self._write(msgspec.json.encode(msgspec.json.decode(events.encode(event)) | known))

    def progress(self, text: str, share: float | None = None) -> None:
        """What is being done, with a share of 1 where that is known; for people alone."""
        if not self.json:
            self._line.show(text, share)

    def text(self, text: str) -> None:
        """A piece of an answer as it comes; JSON has it in its events."""
        if not self.json:
            self._line.clear()
            sys.stdout.write(text)
            sys.stdout.flush()

    def remark(self, text: str) -> None:
        """A line beside the result, for people alone."""
        if not self.json:
            self._line.clear()
            print(text, file=sys.stderr)

    def result(self, value: Any, lines: Iterable[str] = ()) -> None:
        """The last word: the value, or for people these lines."""
        if self.json:
            self._write(msgspec.json.encode({"result": value}))
            return
        self._line.clear()
        for line in lines:
            print(line)
        sys.stdout.flush()

    def error(self, error: StudioError) -> None:
        """The last word when something went wrong."""
        if self.json:
            self._write(msgspec.json.encode({"error": plain(error)}))
            return
        self._line.clear()
        print(f"{error.title}: {error.text}", file=sys.stderr)
        if error.fix:
            print(error.fix, file=sys.stderr)
        for line in problem_lines(error.problems):
            print(line, file=sys.stderr)

    def _write(self, line: bytes) -> None:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


def plain(error: StudioError) -> dict[str, Any]:
    """An error as JSON has it."""
    return {
        "title": error.title,
        "text": error.text,
        "fix": error.fix,
        "problems": msgspec.to_builtins(list(error.problems)),
    }


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Problems for people: what, where, and what to do, each on two lines at most."""
    lines = []
    for problem in problems:
        where = f"row {problem.row}" if problem.row else problem.field
        lines.append(f"  {problem.severity:<7}  {where}: {problem.text}")
        if problem.fix:
            lines.append(f"           → {problem.fix}")
    return lines


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    """Columns as wide as their widest cell, two spaces between."""
    every = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in every
    ]


def size(count: float) -> str:
    """Bytes for people; 1 KB is 1024 bytes, as on the box of a card."""
    for unit in ("B", "KB", "MB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def number(value: object, form: str = ".3f") -> str:
    """A number, or a dash where it isn't known."""
    return format(value, form) if isinstance(value, int | float) else "–"
