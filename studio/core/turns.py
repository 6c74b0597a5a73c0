"""The form of a conversation, found by trying its template: what stands between the messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

Messages = Sequence[dict[str, str]]
Render = Callable[[Messages], str]
"""A conversation as text up to where the next answer begins; may raise where it can't be told."""

_SYSTEM, _USERS, _ANSWERS = "qsysq", ("qoneq", "qtwoq", "qthreeq"), ("qyesq", "qnoq")


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """What a template writes around messages, where it does so regularly.

    `start` comes before the first message; with a system prompt it is `before_system`, the prompt
    and `after_system` ("" and None where the template takes none). `answer` stands between a
    message and its answer, `prompt` where the answer is to come, `next` behind an answer.
    """

    start: str
    before_system: str
    after_system: str | None
    answer: str
    prompt: str
    next: str

    def render(self, messages: Messages) -> str:
        """The same text as the template makes of a conversation that ends with a message."""
        text, rest = self.start, list(messages)
        if rest and rest[0]["role"] == "system" and self.after_system is not None:
            text = self.before_system + rest.pop(0)["content"] + self.after_system
        for number, message in enumerate(rest):
            last = number == len(rest) - 1
            if message["role"] == "assistant":
                text += message["content"] + ("" if last else self.next)
            else:
                text += message["content"] + (self.prompt if last else self.answer)
        return text


def find(render: Render) -> Turns | None:
    """The form that a template gives to conversations; None where it isn't the same for each turn,
    or a conversation comes out otherwise than this form says."""
    try:
        start, answer, next_, again, _, prompt = _between(render, _talk(3))
        made = Turns(
            start=start, before_system="", after_system=None, answer=answer, prompt=prompt,
            next=next_,
        )  # fmt: skip
        made = _with_system(render, made)
        same = all(made.render(talk) == render(talk) for talk in _probes(made))
    except Exception:  # a template is a program, and may refuse what it likes
        return None
    return made if same and again == answer else None


def _with_system(render: Render, made: Turns) -> Turns:
    """The form with its system prompt, where the template takes one as it stands."""
    try:
        before, after, *_ = _between(render, [_message("system", _SYSTEM), *_talk(1)])
    except Exception:
        return made
    return msgspec.structs.replace(made, before_system=before, after_system=after)


def _between(render: Render, messages: Messages) -> list[str]:
    """The text before, between and after the messages. ValueError where one is missing."""
    text, parts = render(messages), []
    for message in messages:
        before, found, text = text.partition(message["content"])
        if not found:
            raise ValueError(message["content"])
        parts.append(before)
    return [*parts, text]


def _talk(turns: int) -> list[dict[str, str]]:
    found = []
    for number in range(turns):
        found.append(_message("user", _USERS[number]))
        if number < turns - 1:
            found.append(_message("assistant", _ANSWERS[number]))
    return found


def _probes(made: Turns) -> list[list[dict[str, str]]]:
    system = [_message("system", "Be brief.\n\nAnswer in German.")]
    talks = [_talk(1), _talk(2), _talk(3), [_message("user", 'Two\nlines, "quoted" & <b>')]]
    return talks + ([system + talk for talk in talks] if made.after_system is not None else [])


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
