"""Line breaks of a model are meant: where a paragraph's line ends, the next one begins anew."""

from __future__ import annotations

import re

MARK = "\N{WORD JOINER}"
"""Stands at the end of a line that goes on below; it takes no room, and is taken out again."""

_BEGINS = re.compile(r"^\s*(?:[-*+]\s|[#|=>]|\d{1,9}[.)]\s|`{3}|~{3}|$)")
_RULE = re.compile(r"^[\s>]*[-*_=\s]+$")


def with_breaks(text: str) -> str:
    """Markdown in which lines that follow each other in a paragraph stay lines."""
    lines = text.split("\n")
    ends = [*lines[1:], ""]
    return "\n".join(
        f"{line}{MARK}  " if _goes_on(line, following) else line
        for line, following in zip(lines, ends, strict=True)
    )


def _goes_on(line: str, following: str) -> bool:
    if not line.strip() or "|" in line or line.startswith("    "):
        return False
    if _RULE.match(line) or _RULE.match(following):
        return False
    if line.lstrip("> ").startswith(("#", "```", "~~~")):
        return False
    if line.lstrip().startswith(">"):
        inner = following.lstrip()
        return inner.startswith(">") and not _BEGINS.match(inner[1:])
    return not _BEGINS.match(following)
