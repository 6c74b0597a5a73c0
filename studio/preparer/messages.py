"""From the values of a row to chat messages or a text, or to the problem in the way."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Message = dict[str, Any]
_ROLES = {
    "human": "user", "prompter": "user", "gpt": "assistant", "model": "assistant",
    "bot": "assistant", "chatgpt": "assistant", "ai": "assistant", "function_response": "tool",
    "observation": "tool", "function": "tool",
} | {role: role for role in ("system", "user", "assistant", "tool", "developer")}  # fmt: skip
_KEPT = ("name", "tool_calls", "tool_call_id", "reasoning_content", "thinking")
_BROKEN = re.compile("[\ud800-\udfff]")


class Sample(msgspec.Struct, frozen=True):
    """One usable row: chat messages, or a text where `messages` is empty."""

    messages: tuple[Message, ...] = ()
    text: str = ""


class BadRow(Exception):
    """Why a row can't be used, as the end of a sentence that begins with “Row 7”; and the fix."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


def sample(values: Mapping[str, Any], roles: Mapping[str, str]) -> Sample:
    """The sample of a row whose columns play these roles; raises BadRow."""
    if "text" in roles:
        return Sample(text=_content(values, roles, "text"))
    if "messages" in roles:
        chat = _chat(as_messages(values.get(roles["messages"])), roles["messages"])
    else:
        chat = _turn(values, roles)
    if "system" in roles and chat[0]["role"] != "system" and values.get(roles["system"]):
        chat.insert(0, _message("system", values[roles["system"]]))
    while chat and chat[-1]["role"] != "assistant":
        chat.pop()  # what follows the last answer teaches nothing
    if not chat:
        raise BadRow("has no answer to learn from", "Add a message of the assistant.")
    return Sample(messages=tuple(chat))


def as_messages(value: object) -> list[Message]:
    """A list of messages, also as JSON in a string; nothing where it is neither."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    whole = isinstance(value, Sequence) and not isinstance(value, str)
    items = list(value) if whole else []  # type: ignore[call-overload]
    ok = all(isinstance(m, dict) and ("role" in m or "from" in m) for m in items)
    return items if ok else []


def _turn(values: Mapping[str, Any], roles: Mapping[str, str]) -> list[Message]:
    parts: list[Message] = []
    for role, name in (("prompt", "user"), ("completion", "assistant")):
        if chat := as_messages(values.get(roles[role])):
            parts += _chat(chat, roles[role])
        else:
            parts.append(_message(name, _content(values, roles, role)))
    more = values.get(roles["input"]) if "input" in roles else None
    asked = next((message for message in parts if message["role"] == "user"), None)
    if asked and isinstance(more, str) and more.strip():
        asked["content"] += f"\n\n{_clean(more)}"
    return parts


def _content(values: Mapping[str, Any], roles: Mapping[str, str], role: str) -> str:
    column = roles[role]
    value = values.get(column)
    if value is None:
        raise BadRow(f"has nothing in “{column}”", "Fill it in or delete the row.")
    if not isinstance(value, str):
        raise BadRow(f"has no text in “{column}”", "Write it as a string.")
    if not value.strip():
        raise BadRow(f"is empty in “{column}”", "Fill it in or delete the row.")
    return _clean(value)


def _chat(messages: list[Message], column: str) -> list[Message]:
    if not messages:
        raise BadRow(
            f"has no list of messages in “{column}”",
            'Write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}].',
        )
    chat = []
    for message in messages:
        role = str(message.get("role") or message.get("from")).casefold()
        if role not in _ROLES:
            raise BadRow(f"has a message of “{role}”", "Use system, user, assistant or tool.")
        content = message.get("content", message.get("value"))
        extra = {key: message[key] for key in _KEPT if message.get(key)}
        chat.append(_message(_ROLES[role], content, extra))
    return chat


def _message(role: str, content: object, extra: Message | None = None) -> Message:
    extra = extra or {}
    if isinstance(content, list):
        content = _joined(content)
    if content is None and "tool_calls" in extra:
        content = ""
    if not isinstance(content, str):
        raise BadRow(f"has a message of the {role} without text", "Give every message a content.")
    if role == "assistant" and not content.strip() and "tool_calls" not in extra:
        raise BadRow("has an empty answer", "Write the answer or delete the row.")
    return {"role": role, "content": _clean(content)} | extra


def _joined(parts: list[Any]) -> str:
    if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
        raise BadRow("has a message with more than text", "Only text can be trained so far.")
    return "".join(part["text"] for part in parts)


def _clean(text: str) -> str:
    if _BROKEN.search(text):
        raise BadRow("has bytes that are no UTF-8 text", "Save the file again as UTF-8.")
    return text
