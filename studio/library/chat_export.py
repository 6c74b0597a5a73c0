"""A conversation to take along: as Markdown to read, as rows to learn from."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from studio.core.chats import Answer, Kept, Turn, said_in
from studio.core.errors import StudioError
from studio.library.files import write_whole


def markdown(kept: Kept) -> str:
    """The way on screen, every column's answer under its name."""
    lines = [f"# {kept.title or 'Conversation'}", ""]
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept.created_at))
    lines += [f"{kept.model_name or 'A model'}, {when}", ""]
    system = ""
    for turn in kept.path():
        if turn.system and turn.system != system:
            lines += ["**System:**", "", turn.system, ""]
        system = turn.system
        lines += ["## You", "", turn.question, ""]
        for column in turn.shown:
            lines += [f"## {_name(kept, turn, column)}", "", _text(turn.answers[column]), ""]
    return "\n".join(lines).rstrip() + "\n"


def rows(kept: Kept) -> list[bytes]:
    """Chat rows, one for each column that answered: what the Dataset step takes. Columns that
    said the same are one row."""
    path = kept.path()
    columns = max((len(turn.answers) for turn in path), default=0)
    found = [said_in(path, column) for column in range(columns)]
    encoded = [msgspec.json.encode({"messages": messages}) for messages in found if messages]
    return list(dict.fromkeys(encoded))


def jsonl(kept: Kept) -> str:
    """The rows as lines. Raises StudioError where nothing was answered."""
    found = rows(kept)
    if not found:
        raise StudioError(
            "Nothing to export", "No question was answered in it.", "Ask something first."
        )
    return "".join(row.decode() + "\n" for row in found)


def write(kept: Kept, path: Path, *, replace: bool = False) -> Path:
    """Write the conversation as what the file's name ends in: .jsonl, or else Markdown.

    Raises StudioError where there is such a file already, unless it may be replaced.
    """
    if path.exists() and not replace:
        raise StudioError(
            "There is such a file already",
            f"{path} exists and isn't overwritten.",
            "Choose another name.",
        )
    content = jsonl(kept) if path.suffix.lower() == ".jsonl" else markdown(kept)
    try:
        write_whole(path, content)
    except OSError as error:
        raise StudioError(
            "Can't be written", f"{path}: {error.strerror or error}.", "Choose another place."
        ) from error
    return path


def _name(kept: Kept, turn: Turn, column: int) -> str:
    if turn.blind and not kept.revealed:
        return f"Answer {chr(ord('A') + turn.shown.index(column))}"
    return turn.answers[column].name or "Answer"


def _text(answer: Answer) -> str:
    return f"*{answer.problem}*" if answer.stage == "failed" else answer.said
