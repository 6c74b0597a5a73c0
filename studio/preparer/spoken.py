"""What is said in a row, apart from what every row may share, such as a system message."""

from __future__ import annotations

from typing import NamedTuple

from studio.preparer.messages import Sample
from studio.preparer.words import MOST, words_of

_ECHOED = 4
"""Words of a prompt from which on repeating it is no chance."""


class Spoken(NamedTuple):
    """The text of a row and its words; `answer` counts those of its last answer, -1 where it has
    none. `echo` says that an answer begins with all that it was asked."""

    text: str
    words: list[str]
    answer: int = -1
    echo: bool = False


def spoken(sample: Sample) -> Spoken:
    """What a row says; of long ones the first MOST characters."""
    if not sample.messages:
        text = sample.text[:MOST]
        return Spoken(text, words_of(text))
    texts: list[str] = []
    words: list[str] = []
    before: list[str] = []
    answer, echo = -1, False
    for message in sample.messages:
        role, text = message["role"], message["content"][:MOST]
        if role in ("system", "developer"):
            continue
        said = words_of(text)
        if role == "assistant":
            echo = echo or (len(before) >= _ECHOED and said[: len(before)] == before)
            answer = len(said) if said or "tool_calls" not in message else answer
        before = said if role == "user" else []
        texts.append(text)
        words += said
    return Spoken("\n".join(texts), words, answer, echo)
