"""Markdown cut into prose and fenced code (CommonMark 0.31, section 4.5); knows nothing of Qt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LONG_PROSE = 3000
"""Letters after which prose goes on in a block of its own: only its end is laid out anew."""

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})\s*(.*?)\s*$")
_TIED = re.compile(r"^(\s|[-*+>|]|\d{1,9}[.)]\s|\[[^\]]+\]:)")
"""Begins a line that may belong to what stands before the empty line above it."""


@dataclass(frozen=True)
class Block:
    """A piece of the text. `language` is what a fence names."""

    kind: Literal["prose", "code"]
    text: str
    language: str = ""


def split(text: str) -> list[Block]:
    """The blocks of a text, in order; a fence that isn't closed yet reaches to the end."""
    found: list[Block] = []
    prose: list[str] = []
    lines = iter(text.replace("\r\n", "\n").split("\n"))
    for line in lines:
        fence = _FENCE.match(line)
        if fence is None or (fence[2][0] == "`" and "`" in fence[3]):
            prose.append(line)
            continue
        found += _prose(prose)
        prose = []
        words = fence[3].split(maxsplit=1)
        code = [_without(one, len(fence[1])) for one in _until_closed(lines, fence[2])]
        found.append(Block("code", "\n".join(code), words[0] if words else ""))
    return found + _prose(prose)


def _until_closed(lines: Iterator[str], fence: str) -> list[str]:
    code: list[str] = []
    for line in lines:
        end = line.strip()
        indent = len(line) - len(line.lstrip(" "))
        if indent < 4 and len(end) >= len(fence) and set(end) == {fence[0]}:
            break
        code.append(line)
    return code


def _without(line: str, indent: int) -> str:
    """The line without as many leading spaces as its fence has."""
    spaces = len(line) - len(line.lstrip(" "))
    return line[min(indent, spaces) :]


def _prose(lines: list[str]) -> list[Block]:
    found: list[Block] = []
    part: list[str] = []
    length = 0
    for number, line in enumerate(lines):
        free = number > 0 and not lines[number - 1].strip() and line and not _TIED.match(line)
        if length > LONG_PROSE and free:
            found.append(Block("prose", "\n".join(part)))
            part, length = [], 0
        part.append(line)
        length += len(line) + 1
    found.append(Block("prose", "\n".join(part)))
    return [block for block in found if block.text.strip()]
