"""Rated answers of chats: kept as they come, and made into rows and preference pairs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.core.own_sets import Rating
from studio.library import formats, own_datasets
from studio.library.files import append_line, read_lines, write_whole
from studio.library.folders import Home
from studio.library.own_datasets import CHATS, NOTE, PREFERENCES, ROWS, Note

RATINGS = "ratings.jsonl"
Row = dict[str, Any]


def rate(home: Home, rating: Rating) -> int:
    """Keep a rating, and bring the set “chats” up to date; the number of its rows.

    Raises Newer, with nothing written, where a newer studio made the set.
    """
    rating = msgspec.structs.replace(rating, time=rating.time or time.time())
    folder = home.datasets / CHATS
    own_datasets.note(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with own_datasets.writing(home):
        append_line(folder / RATINGS, msgspec.json.encode(rating))
        return _derive(folder)


def collected(home: Home) -> int:
    """The rows of the set “chats”, which is brought up to date if a writer was killed."""
    folder = home.datasets / CHATS
    if not (folder / RATINGS).is_file():
        return 0
    if _behind(folder):
        own_datasets.note(folder)
        with own_datasets.writing(home):
            return _derive(folder)
    return own_datasets.count(folder / ROWS)


def build(home: Home, name: str) -> Path:
    """A new set of the rows that the ratings give now; its folder."""
    if not collected(home):
        raise StudioError(
            "No rated answers",
            "No answer has been rated as good or corrected so far.",
            "Rate answers in the studio's Chat, then try again.",
        )
    source = home.datasets / CHATS / ROWS
    made = Note(origin="chats", source="rated answers")
    return own_datasets.create(home, name, made, lambda path: _copy(source, path))


def rated(home: Home) -> list[Rating]:
    """The last rating of every answer, in the order of their first; broken lines are passed."""
    return _last(home.datasets / CHATS / RATINGS)


def rows_of(ratings: Iterable[Rating]) -> list[Row]:
    """A chat for every answer that is good or corrected, and each once."""
    made = [_chat(one, said) for one in ratings for said in _good(one)]
    return list({msgspec.json.encode(row): row for row in made}.values())


def pairs_of(ratings: Iterable[Rating]) -> list[Row]:
    """Of answers to the same messages, every good one with every bad one."""
    asked: dict[bytes, list[Rating]] = {}
    for one in ratings:
        asked.setdefault(msgspec.json.encode(one.messages), []).append(one)
    return [row for answers in asked.values() for row in _pairs(answers)]


def _pairs(answers: list[Rating]) -> Iterator[Row]:
    good = dict.fromkeys(said for one in answers for said in _good(one))
    bad = dict.fromkeys(said for one in answers for said in _bad(one))
    for chosen in good:
        for rejected in bad:
            if chosen != rejected:
                yield {
                    "prompt": answers[0].messages,
                    "chosen": [_answer(chosen)],
                    "rejected": [_answer(rejected)],
                }


def _good(one: Rating) -> list[str]:
    return [one.correction or one.text] if one.correction or one.rating == "up" else []


def _bad(one: Rating) -> list[str]:
    """What was rated as bad, or was corrected."""
    return [one.text] if one.rating == "down" or one.correction else []


def _chat(one: Rating, said: str) -> Row:
    return {"messages": [*one.messages, _answer(said)]}


def _answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _derive(folder: Path) -> int:
    ratings = _last(folder / RATINGS)
    rows = rows_of(ratings)
    if not (folder / NOTE).exists():
        made = Note(origin="chats", created_at=time.time())
        write_whole(folder / NOTE, formats.encode("dataset", made))
    _write(folder / PREFERENCES, pairs_of(ratings))
    _write(folder / ROWS, rows)
    return len(rows)


def _behind(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        kept, made = (folder / RATINGS).stat(), (folder / ROWS).stat()
        return kept.st_mtime_ns > made.st_mtime_ns
    return True


def _last(path: Path) -> list[Rating]:
    found: dict[str, Rating] = {}
    for line in read_lines(path)[0]:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            one = msgspec.json.decode(line, type=Rating)
            found[one.answer] = one
    return list(found.values())


def _write(path: Path, rows: Iterable[Row]) -> None:
    write_whole(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
