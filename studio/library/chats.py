"""Conversations on disk: a file each under the home, written whole, found, searched and deleted."""

from __future__ import annotations

import re
import time
import unicodedata
import uuid
from pathlib import Path

import msgspec

from studio.core.chats import Answer, Entry, Kept
from studio.core.errors import StudioError
from studio.core.upgrades import Newer
from studio.library import formats, trash
from studio.library.files import PARTIAL, write_whole
from studio.library.folders import Home
from studio.library.trash import Trashed

SUFFIX = ".json"
_ID = re.compile(r"[0-9a-z-]{4,40}\Z")
_AROUND = 40


def new(**known: object) -> Kept:
    """A conversation that nothing was said in yet; it isn't written before `save`."""
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    id = f"{stamp}-{uuid.uuid4().hex[:6]}"
    return msgspec.convert({"id": id, "created_at": now} | known, Kept)


def new_id() -> str:
    """A name for a turn or an answer."""
    return uuid.uuid4().hex


def path_of(home: Home, id: str) -> Path:
    """Where the conversation of this name lies, or will."""
    if not _ID.match(id):
        raise _unknown(id)
    return home.chats / f"{id}{SUFFIX}"


def save(home: Home, kept: Kept) -> Path:
    """Write a conversation: its file is the old one or the new one, whenever this is broken off."""
    kept.changed_at = time.time()
    return _write(home, kept)


def _write(home: Home, kept: Kept) -> Path:
    path = path_of(home, kept.id)
    write_whole(path, formats.encode("chat", kept))
    return path


def load(home: Home, id: str) -> Kept:
    """The conversation of this name, exactly as it was saved; what was still being answered is
    closed. Raises StudioError without one, and Newer for one of a newer studio."""
    path = path_of(home, id)
    try:
        kept = formats.decode("chat", path.read_bytes(), Kept, f"The conversation {id}")
    except FileNotFoundError as error:
        raise _unknown(id) from error
    except (OSError, ValueError) as error:
        raise StudioError(
            "Damaged conversation",
            f"{path.name} can't be read: {error}.",
            "Delete it, or put back a copy of the file.",
        ) from error
    for turn in kept.turns:
        for answer in turn.answers:
            _close(answer)
    return kept


def find(home: Home, text: str) -> str:
    """The name of the conversation that a name, the beginning of one or a title stands for.

    Raises StudioError where none or several do.
    """
    entries = listing(home)
    for found in (
        [entry for entry in entries if entry.id == text],
        [entry for entry in entries if entry.title == text],
        [entry for entry in entries if text and entry.id.startswith(text)],
    ):
        if len(found) == 1:
            return found[0].id
        if found:
            raise StudioError(
                "Several conversations",
                f"“{text}” stands for {len(found)} conversations, {found[0].id} first.",
                "Give the whole name; “finetune-studio chats” lists them.",
            )
    raise _unknown(text)


def listing(home: Home, words: str = "") -> list[Entry]:
    """The conversations in whose title or text all these words are, the latest first; those that
    can't be read say why."""
    wanted = _plain(words).split()
    there = home.chats.glob(f"*{SUFFIX}") if home.chats.is_dir() else ()
    found = [_entry(home, path, wanted) for path in there if not path.name.startswith(PARTIAL)]
    return sorted((one for one in found if one), key=lambda e: (-e.changed_at, e.id))


def rename(home: Home, id: str, title: str) -> Kept:
    """Give a conversation another title. Raises StudioError for an empty one."""
    wanted = " ".join(title.split())
    if not wanted:
        raise StudioError("No title", "A conversation needs a title.", "Type one.")
    kept = load(home, id)
    kept.title, kept.named = wanted, True
    _write(home, kept)
    return kept


def delete(home: Home, id: str) -> Trashed:
    """Move a conversation into the trash, from where it can be brought back."""
    path = path_of(home, id)
    if not path.is_file():
        raise _unknown(id)

    try:
        title = load(home, id).title
    except StudioError:
        title = ""
    return trash.put(home, path, title)


def restore(home: Home, entry: Trashed) -> Path:
    """Take a deleted conversation back out of the trash."""
    home.chats.mkdir(parents=True, exist_ok=True)
    return trash.restore(entry)


def _entry(home: Home, path: Path, wanted: list[str]) -> Entry | None:
    id = path.stem
    try:
        kept = load(home, id)
    except StudioError as error:
        title = "Made by a newer studio" if isinstance(error, Newer) else "Can't be read"
        known = Entry(id=id, path=str(path), title=title, problem=f"{error.text} {error.fix}")
        return None if wanted else known
    found = _where(kept, wanted)
    if found is None:
        return None
    return Entry(
        id=id,
        path=str(path),
        title=kept.title or "Untitled",
        model_name=kept.model_name,
        turns=len(kept.path()),
        created_at=kept.created_at,
        changed_at=kept.changed_at,
        found=found,
    )


def _where(kept: Kept, wanted: list[str]) -> str | None:
    """Text around the first word; "" where the title alone has them, None where a word isn't."""
    if not wanted:
        return ""
    texts = list(kept.texts())
    plain = [_plain(text) for text in texts]
    if not all(any(word in text for text in plain) for word in wanted):
        return None
    for text, known in zip(texts[1:], plain[1:], strict=True):
        at = known.find(wanted[0])
        if at >= 0:
            return _cut(text, at, len(wanted[0]))
    return ""


def _cut(text: str, at: int, length: int) -> str:
    begin, end = max(0, at - _AROUND), min(len(text), at + length + _AROUND)
    dots = "\N{HORIZONTAL ELLIPSIS}"
    words = " ".join(text[begin:end].split())
    return f"{dots if begin else ''}{words}{dots if end < len(text) else ''}"


def _plain(text: str) -> str:
    """Without case and accents, letter for letter where that is possible."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def _close(answer: Answer) -> None:
    if not answer.over:
        answer.stage = "stopped" if answer.text else "failed"
        answer.problem = "" if answer.text else "The studio ended before it was answered."


def _unknown(text: str) -> StudioError:
    return StudioError(
        "No such conversation",
        f"There is no conversation called “{text}”.",
        "“finetune-studio chats” lists those there are.",
    )
