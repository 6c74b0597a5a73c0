"""What a usable row is: chat messages, a text or token ids; and what stands in the way of one."""

from __future__ import annotations

import re
from typing import Any

import msgspec

Message = dict[str, Any]
_BROKEN = re.compile("[\ud800-\udfff]")


class Sample(msgspec.Struct, frozen=True):
    """One usable row: chat messages; or else token ids; or else a text.

    `tools` are the functions that a chat may call, as its row describes them. `labels` are as
    long as `ids`, with -100 where nothing is learnt.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    ids: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    tools: tuple[Any, ...] = ()


class BadRow(Exception):
    """Why a row can't be used, as the end of a sentence that begins with “Row 7”; and the fix."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = printable(why)
        self.fix = fix


class Passed(BadRow):
    """A sound row that is not to be learnt: `why` ends a sentence that begins with “Row 7”."""

    def __init__(self, why: str) -> None:
        super().__init__(why, "")


def message(role: str, content: object, extra: Message | None = None) -> Message:
    """One message of a chat, checked; raises BadRow."""
    extra = plain(extra or {})
    if isinstance(content, list):
        content = _joined(content)
    if content is None and "tool_calls" in extra:
        content = ""
    if isinstance(content, dict) and role == "tool":
        content = str(msgspec.json.encode(plain(content)), "utf-8")
    if not isinstance(content, str):
        raise BadRow(f"has a message of the {role} without text", "Give every message a content.")
    if role == "assistant" and not content.strip() and "tool_calls" not in extra:
        raise BadRow("has an empty answer", "Write the answer or delete the row.")
    return {"role": role, "content": clean(content)} | extra


def clean(text: str) -> str:
    """The text; raises BadRow where it holds what no text can."""
    if _BROKEN.search(text):
        raise BadRow("has bytes that are no UTF-8 text", "Save the file again as UTF-8.")
    return text


def plain(value: Any) -> Any:
    """The value; raises BadRow where it can't be written down as JSON."""
    try:
        if value:
            msgspec.json.encode(value)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadRow(f"has a value that can't be kept ({error})", "Take it out.") from error
    return value


def printable(text: str) -> str:
    """The text with a mark in place of what no text can hold."""
    return _BROKEN.sub("\ufffd", text)


def broken(text: str) -> bool:
    """Whether a text holds what no text can."""
    return bool(_BROKEN.search(text))


def _joined(parts: list[Any]) -> str:
    texts = [part if isinstance(part, str) else _text_of(part) for part in parts]
    return "".join(texts)


def _text_of(part: object) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise BadRow("has a message with more than text", "Only text can be trained so far.")
