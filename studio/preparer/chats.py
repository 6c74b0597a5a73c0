"""Chats in the many ways that datasets write them, as messages with role and content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from studio.preparer.messages import BadRow, Message, message

_ROLES = {
    "human": "user", "prompter": "user", "usr": "user", "customer": "user", "client": "user",
    "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "ai": "assistant", "bard": "assistant", "claude": "assistant", "agent": "assistant",
    "function_call": "assistant", "tool_call": "assistant",
    "function_response": "tool", "tool_response": "tool", "tool_result": "tool",
    "observation": "tool", "function": "tool", "ipython": "tool", "environment": "tool",
} | {role: role for role in ("system", "user", "assistant", "tool", "developer")}  # fmt: skip
_CALLS = ("function_call", "tool_call")
_KEPT = ("name", "tool_calls", "tool_call_id", "reasoning_content", "thinking")
_WHO = ("role", "from", "speaker", "author", "sender")
_WHAT = ("content", "value", "text", "message", "utterance", "parts")
_PAIRS = (
    ("user", "assistant"), ("human", "assistant"), ("human", "gpt"), ("human", "bot"),
    ("question", "answer"), ("prompt", "response"), ("prompt", "completion"), ("input", "output"),
    ("instruction", "output"), ("query", "response"),
)  # fmt: skip
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|User|Assistant|System): ?")


def as_messages(value: object) -> list[Message]:
    """The messages in a value, with their roles as they are called there; nothing where it is no
    chat. Besides a list of messages that is such a list as JSON, under `messages`, as columns, or
    as pairs of question and answer."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if isinstance(value, Mapping):
        value = _unwrapped(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        return []
    if not all(isinstance(one, dict) for one in value):
        return []
    if all(_who(one) and _says(one) for one in value):
        return [_keyed(one) for one in value]
    return _of_pairs(value)


def dialect(value: object) -> str:
    """How a chat's messages name their speaker: role, from, …; nothing where it is no chat."""
    messages = as_messages(value)
    return str(messages[0].get("_who", "")) if messages else ""


def alternating(value: object) -> list[Message]:
    """A list of texts as user and assistant by turns; nothing where it is none."""
    if not isinstance(value, list) or len(value) < 2 or not all(map(_is_text, value)):
        return []
    names = ("user", "assistant")
    return [{"role": names[place % 2], "content": said} for place, said in enumerate(value)]


def transcript(text: str) -> list[Message]:
    """A text of “Human: …” and “Assistant: …” paragraphs as messages; nothing where it is none."""
    pieces = _TRANSCRIPT.split(text)
    if len(pieces) < 5 or pieces[0].strip():
        return []
    places = range(1, len(pieces), 2)
    return [{"role": pieces[i].casefold(), "content": pieces[i + 1].strip()} for i in places]


def chat(messages: Sequence[Message], column: str) -> list[Message]:
    """The messages with the roles that templates know; raises BadRow."""
    if not messages:
        raise BadRow(
            f"has no list of messages in “{column}”",
            'Write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}].',
        )
    return [_known(one) for one in messages]


def _known(one: Message) -> Message:
    role = str(one["role"]).casefold().strip()
    if role not in _ROLES:
        raise BadRow(f"has a message of “{role}”", "Use system, user, assistant or tool.")
    extra = {key: one[key] for key in _KEPT if one.get(key)}
    content = one.get("content")
    if isinstance(one.get("function_call"), dict):  # as OpenAI had it before tool_calls
        extra["tool_calls"] = [{"type": "function", "function": one["function_call"]}]
    if role in _CALLS:
        extra["tool_calls"], content = _calls(content), ""
    return message(_ROLES[role], content, extra)


def _calls(content: object) -> list[Any]:
    """The calls that the message of a function_call holds as JSON."""
    try:
        said = json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError):
        said = None
    calls = said if isinstance(said, list) else [said]
    if not all(isinstance(call, dict) and call.get("name") for call in calls):
        raise BadRow(
            "has a function call that is no JSON", 'Write {"name": "…", "arguments": {…}}.'
        )
    return [{"type": "function", "function": call} for call in calls]


def _unwrapped(value: Mapping[str, Any]) -> object:
    """The list in {"messages": […]}, or in columns such as {"role": […], "content": […]}."""
    for name in ("messages", "conversations", "conversation"):
        if isinstance(value.get(name), list):
            return value[name]
    if _who(value) and not isinstance(value[_who(value)], list):
        return [value]
    columns = list(value.values())
    if not _who(value) or not all(isinstance(column, list) for column in columns):
        return []
    if len({len(column) for column in columns}) != 1:
        return []
    return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _who(one: Mapping[str, Any]) -> str:
    return next((key for key in _WHO if one.get(key) is not None), "")


def _says(one: Mapping[str, Any]) -> bool:
    named = {"tool_calls", "function_call"} & set(one) or _who(one) in ("role", "from")
    return bool(named) or any(key in one for key in _WHAT)


def _keyed(one: Mapping[str, Any]) -> Message:
    """The message under the keys role and content; `_who` keeps what the role was called."""
    who = _who(one)
    what = next((key for key in _WHAT if one.get(key) is not None), "content")
    rest = {key: value for key, value in one.items() if key not in (who, what)}
    author = one[who]
    role = author.get("role") if isinstance(author, dict) else author
    return {**rest, "role": role, "content": one.get(what), "_who": who}


def _of_pairs(turns: Sequence[Mapping[str, Any]]) -> list[Message]:
    for asked, answered in _PAIRS:
        if all(asked in turn and answered in turn for turn in turns):
            return [
                {"role": role, "content": turn[key], "_who": asked}
                for turn in turns
                for role, key in (("user", asked), ("assistant", answered))
            ]
    return []
