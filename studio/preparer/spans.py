"""Where in a rendered chat the assistant's answers stand."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from studio.preparer.messages import BadRow, Message
from studio.preparer.template import Span, Template

_MARK = "\u2063ANSWER\u2063"


class Chat(msgspec.Struct, frozen=True):
    """The messages of a row, and the tools that they may call."""

    messages: tuple[Message, ...]
    tools: tuple[Any, ...] = ()


class Rendered(msgspec.Struct, frozen=True):
    """A chat as the model reads it, and the spans of the answers in it, in characters."""

    text: str
    spans: tuple[Span, ...] = ()
    folded: bool = False


def render(template: Template, chat: Chat) -> Rendered:
    """The chat and its answers. A system message that the template refuses joins the first
    user message, and `folded` says so. Raises BadRow where the template refuses the chat or
    hides an answer, Runaway as Template does."""
    refusal: BadRow | None = None
    for messages, folded in _spellings(chat.messages):
        try:
            found = _rendered(template, messages, chat.tools)
        except BadRow as bad:
            refusal = refusal or bad
        else:
            return Rendered(found.text, found.spans, folded)
    assert refusal is not None
    raise refusal


def prompt(template: Template, chat: Chat) -> str:
    """The chat up to where the next answer would begin; raises as `render` does."""
    return template.render(chat.messages, True, chat.tools)


def _spellings(messages: Sequence[Message]) -> Iterator[tuple[Sequence[Message], bool]]:
    """The chat as transformers wants it, and then in the other ways that templates know.

    Templates take the arguments of a call as an object (transformers' way) or as the JSON text
    that datasets hold (OpenAI's way); some know no developer, and some no system message.
    """
    messages = [_with_calls(one, _as_object) for one in messages]
    yield messages, False
    if any(one.get("tool_calls") for one in messages):
        yield [_with_calls(one, _as_text) for one in messages], False
    if any(one["role"] == "developer" for one in messages):
        messages = [
            {**one, "role": "system"} if one["role"] == "developer" else one for one in messages
        ]
        yield messages, False
    if [one["role"] for one in messages[:2]] == ["system", "user"]:
        said = f"{messages[0]['content']}\n\n{messages[1]['content']}"
        yield [{**messages[1], "content": said}, *messages[2:]], True


def _with_calls(one: Message, spelt: Any) -> Message:
    calls = one.get("tool_calls")
    if not isinstance(calls, list):
        return one
    return {**one, "tool_calls": [_call(call, spelt) for call in calls]}


def _call(call: Any, spelt: Any) -> Any:
    if not isinstance(call, dict):
        return call
    if isinstance(call.get("function"), dict):
        return {**call, "function": _call(call["function"], spelt)}
    return {**call, "arguments": spelt(call["arguments"])} if "arguments" in call else call


def _as_object(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return found if isinstance(found, dict) else arguments


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _rendered(template: Template, messages: Sequence[Message], tools: Sequence[Any]) -> Rendered:
    text, marked = template.render_tracked(messages, tools=tools)
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    if marked:
        said = [str(messages[i]["content"]).strip() for i in answers]
        if not all(any(words in text[slice(*span)] for span in marked) for words in said):
            raise _hidden()
        return Rendered(text, tuple(marked))
    spans = tuple(_span(template, messages, tools, text, i) for i in answers)
    if any(end > start for (_, end), (start, _) in itertools.pairwise(spans)):
        raise _hidden()
    return Rendered(text, spans)


def _span(
    template: Template, messages: Sequence[Message], tools: Sequence[Any], text: str, index: int
) -> Span:
    """By what the template adds for this message; where it rewrites history, by what changes in
    the text when another answer stands there."""
    content = str(messages[index]["content"]).strip()
    found = _by_prefix(template, messages, tools, text, index)
    found = found or _by_change(template, messages, tools, text, index)
    said = [content, *_called(messages[index])]
    if found is None or not all(words in text[slice(*found)] for words in said):
        raise _hidden()
    return found


def _called(message: Message) -> Iterator[str]:
    """The names of the functions that a message calls."""
    for call in message.get("tool_calls") or ():
        function = call.get("function", call) if isinstance(call, dict) else {}
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            yield function["name"]


def _by_prefix(
    template: Template, messages: Sequence[Message], tools: Sequence[Any], text: str, index: int
) -> Span | None:
    try:
        head = template.render(messages[:index], True, tools) if index else ""
        last = index == len(messages) - 1
        upto = text if last else template.render(messages[: index + 1], tools=tools)
    except BadRow:
        return None
    fits = index and text.startswith(head) and text.startswith(upto)
    return (len(head), len(upto)) if fits and len(head) < len(upto) else None


def _by_change(
    template: Template, messages: Sequence[Message], tools: Sequence[Any], text: str, index: int
) -> Span | None:
    copy = [dict(message) for message in messages]
    copy[index]["content"] = _MARK
    copy[index].pop("tool_calls", None)
    other = template.render(copy, tools=tools)
    if other.count(_MARK) != 1:
        return None
    start, tail = _shared(text, other), _shared(text[::-1], other[::-1])
    at = other.index(_MARK)
    end = len(text) - tail
    whole = start == at and len(other) - tail == at + len(_MARK)
    return (start, end) if whole and start < end else None


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _hidden() -> BadRow:
    return BadRow(
        "has an answer that the chat template leaves out or rewrites",
        "Keep one answer a row, or choose another template.",
    )
