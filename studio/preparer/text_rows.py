"""The rows of plain text: paragraphs, lines, or the sections of Markdown."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from studio.core.errors import StudioError
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell, silent
from studio.preparer.records import LONGEST_ROW, TOO_LONG, Overlong, Record, lines_of

LOOKED_AT = 2000
"""Lines within which a blank one between others makes rows of paragraphs."""

LONGEST_FRONT_MATTER = 200
"""Lines between “---” and “---” at the top of Markdown, which are about the text."""

_HEADING = re.compile(r"#{1,6}\s")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_Lines = Iterable[tuple[int, str]]


def plain(file: DataFile, tell: Tell) -> Iterator[Record]:
    """A row is a paragraph where blank lines part paragraphs, else a line."""
    paragraphs = _has_paragraphs(file)
    with lines_of(file, tell) as lines:
        numbered = enumerate(lines, 1)
        yield from _paragraphs(file, numbered) if paragraphs else _single(file, numbered)


def markdown(file: DataFile, tell: Tell) -> Iterator[Record]:
    """A row is a section with its heading; a file without headings is read as plain text."""
    with lines_of(file, silent) as lines:
        if not any(_HEADING.match(line) for line in lines):
            yield from plain(file, tell)
            return
    with lines_of(file, tell) as lines:
        yield from _sections(file, _behind_front_matter(enumerate(lines, 1)))


def _has_paragraphs(file: DataFile) -> bool:
    seen = blank = False
    with lines_of(file, silent) as lines:
        for number, line in enumerate(lines):
            if number >= LOOKED_AT:
                break
            filled = bool(line.strip()) or isinstance(line, Overlong)
            if filled and blank:
                return True
            seen = seen or filled
            blank = seen and not filled
    return False


def _single(file: DataFile, lines: _Lines) -> Iterator[Record]:
    for number, line in lines:
        if isinstance(line, Overlong):
            yield Record(file.name, number, problem=TOO_LONG, fix="Break it into lines.")
        elif line.strip():
            yield Record(file.name, number, {"text": line.rstrip("\r\n")})


def _paragraphs(file: DataFile, lines: _Lines) -> Iterator[Record]:
    start, block, size = 0, list[str](), 0
    for number, line in lines:
        _refuse_endless(file, line, size)
        if line.strip():
            start = start or number
            block.append(line.rstrip("\r\n"))
            size += len(line)
        elif block:
            yield Record(file.name, start, {"text": "\n".join(block)})
            start, block, size = 0, [], 0
    if block:
        yield Record(file.name, start, {"text": "\n".join(block)})


def _sections(file: DataFile, lines: _Lines) -> Iterator[Record]:
    start, block, size, fence = 0, list[str](), 0, ""
    for number, line in lines:
        _refuse_endless(file, line, size)
        if mark := _FENCE.match(line):
            fence = "" if fence == mark.group(1) else fence or mark.group(1)
        if not fence and _HEADING.match(line) and any(_body(block)):
            yield Record(file.name, start, {"text": "\n".join(block).strip()})
            start, block, size = 0, [], 0
        if block or line.strip():
            start = start or number
            block.append(line.rstrip("\r\n"))
            size += len(line)
    if block:
        yield Record(file.name, start, {"text": "\n".join(block).strip()})


def _body(block: list[str]) -> Iterator[bool]:
    """Whether there is more than headings: a heading alone opens the section that follows."""
    return (bool(line.strip()) and not _HEADING.match(line) for line in block)


def _behind_front_matter(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    held = list(itertools.islice(lines, 1))
    if held and held[0][1].strip() == "---":
        held += itertools.islice(lines, LONGEST_FRONT_MATTER)
        ends = (i for i, (_, line) in enumerate(held) if i and line.strip() in ("---", "..."))
        held = held[next(ends, -1) + 1 :]
    yield from held
    yield from lines


def _refuse_endless(file: DataFile, line: str, size: int) -> None:
    if isinstance(line, Overlong) or size > LONGEST_ROW:
        raise StudioError(
            "Text is too long",
            f"“{file.name}” has one passage that {TOO_LONG}.",
            "Break it into paragraphs with blank lines.",
        )
