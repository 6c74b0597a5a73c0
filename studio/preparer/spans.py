"""Where in a rendered chat the assistant's answers stand."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from studio.preparer.messages import BadRow, Message
from studio.preparer.template import Span, Template

_MARK = "\u2063ANSWER\u2063"


class Rendered(msgspec.Struct, frozen=True):
    """A chat as the model reads it, and the spans of the answers in it, in characters."""

    text: str
    spans: tuple[Span, ...] = ()
    folded: bool = False


def render(template: Template, messages: Sequence[Message]) -> Rendered:
    """The chat and its answers. A system message that the template refuses joins the first
    user message, and `folded` says so. Raises BadRow where the template refuses the chat or
    hides an answer."""
    try:
        return _rendered(template, messages)
    except BadRow:
        if messages[0]["role"] != "system" or len(messages) < 2 or messages[1]["role"] != "user":
            raise
    first = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    found = _rendered(template, [first, *messages[2:]])
    return Rendered(found.text, found.spans, folded=True)


def _rendered(template: Template, messages: Sequence[Message]) -> Rendered:
    text, marked = template.render_tracked(messages)
    if marked:
        return Rendered(text, tuple(marked))
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    return Rendered(text, tuple(_span(template, messages, text, i) for i in answers))


def _span(template: Template, messages: Sequence[Message], text: str, index: int) -> Span:
    """By what the template adds for this message; where it rewrites history, by a marked copy."""
    content = str(messages[index]["content"]).strip()
    found = _by_prefix(template, messages, text, index) or _by_mark(template, messages, text, index)
    if found is None or content not in text[slice(*found)]:
        raise BadRow(
            "has an answer that the chat template leaves out or rewrites",
            "Keep one answer a row, or choose a model with another template.",
        )
    return found


def _by_prefix(
    template: Template, messages: Sequence[Message], text: str, index: int
) -> Span | None:
    try:
        head = template.render(messages[:index], generation_prompt=True) if index else ""
        last = index == len(messages) - 1
        upto = text if last else template.render(messages[: index + 1])
    except BadRow:
        return None
    fits = index and text.startswith(head) and text.startswith(upto)
    return (len(head), len(upto)) if fits and len(head) < len(upto) else None


def _by_mark(template: Template, messages: Sequence[Message], text: str, index: int) -> Span | None:
    copy = [dict(message) for message in messages]
    copy[index]["content"] = _MARK
    before, mark, behind = template.render(copy).partition(_MARK)
    fits = mark and text.startswith(before) and text.endswith(behind)
    end = len(text) - len(behind)
    return (len(before), end) if fits and len(before) < end else None
