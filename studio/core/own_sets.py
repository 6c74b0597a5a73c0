"""The studio's own sets of rows: what one is, a row of it, and a rated answer."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from studio.core.problem import Problem

Origin = Literal["chats", "folder", "copy", "rows"]
Stars = Literal["up", "down", ""]

ORIGINS: dict[Origin, str] = {
    "chats": "rated chats",
    "folder": "passages",
    "copy": "copy",
    "rows": "own rows",
}


class OwnSet(msgspec.Struct, frozen=True, kw_only=True):
    """One set. `path` is its file of rows; `source` what it was made of, as the user named it.

    A `growing` set is written by the studio itself and can't be edited, only copied. `problem`
    says why a set can't be used. `created_at` is seconds since the epoch, `size` bytes.
    """

    name: str
    path: str
    origin: Origin = "rows"
    source: str = ""
    rows: int = 0
    size: int = 0
    created_at: float = 0.0
    growing: bool = False
    problem: str = ""


class OwnRow(msgspec.Struct, frozen=True):
    """One row by its place from 0. `line` is how it stands in the file."""

    place: int
    line: str
    values: dict[str, Any]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What building a set gave: its name and file, the rows written and those left out.

    `files` were read; `problems` say what was left out, and why.
    """

    name: str
    path: str
    rows: int
    files: int = 0
    left_out: int = 0
    problems: tuple[Problem, ...] = ()


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody thinks of one answer of a chat; a later one of the same `answer` replaces it.

    `messages` are all before the answer, its question the last; `text` is what the model said,
    `correction` what it should have said. `time` is seconds since the epoch.
    """

    answer: str
    messages: tuple[dict[str, str], ...]
    text: str
    rating: Stars = ""
    correction: str = ""
    model: str = ""
    adapter: str = ""
    time: float = 0.0
