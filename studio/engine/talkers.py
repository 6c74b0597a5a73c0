"""Who answers in a conversation: a base with an adapter, or (llama_cpp/talker.py) a GGUF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from studio.core.turns import Messages
from studio.engine.conversation import Speaker
from studio.engine.generate import Detokenizer, Sampler, prompt_ids, stop_tokens, stream


class Reply(Protocol):
    """One answer in the making. `reused` tokens of its prompt were known from earlier turns."""

    reused: int

    def pieces(self) -> Iterator[str]:
        """The text that each token completes, often none. Raises Broken where reading the prompt
        was stopped."""

    def rest(self) -> str:
        """What was held back of the text, at the end."""

    def speaking(self) -> AbstractContextManager[Any]:
        """Pieces are asked for within this."""

    def leave(self) -> None:
        """Keep what was read for the next turn."""


class Talker(Protocol):
    """One side. `context_length` is how many tokens it reads, 0 where nobody knows; those with
    the same `key` read the same prompt for the same messages."""

    key: str
    context_length: int

    def prompt(self, messages: Messages) -> list[int]:
        """The ids after which the answer begins. Raises TemplateError."""

    def reply(
        self, prompt: Sequence[int], sampler: Sampler, limit: int, stopped: Callable[[], bool]
    ) -> Reply:
        """An answer of at most so many tokens; `stopped` is asked while the prompt is read."""


class OfSpeaker:
    """The base as it speaks on one side."""

    def __init__(self, speaker: Speaker, side: str) -> None:
        self._speaker, self._side = speaker, side
        self.key = speaker.template(side)
        self.context_length = speaker.context_length

    def prompt(self, messages: Messages) -> list[int]:
        return prompt_ids(self._speaker.tokenizer, messages, self.key)

    def reply(
        self, prompt: Sequence[int], sampler: Sampler, limit: int, stopped: Callable[[], bool]
    ) -> Reply:
        return _Spoken(self._speaker, self._side, prompt, sampler, limit, stopped)


class _Spoken:
    def __init__(
        self,
        speaker: Speaker,
        side: str,
        prompt: Sequence[int],
        sampler: Sampler,
        limit: int,
        stopped: Callable[[], bool],
    ) -> None:
        self._speaker, self._side = speaker, side
        stop = stop_tokens(speaker.base, speaker.tokenizer, speaker.template(side))
        self._prefix = speaker.prefixes.take(side, speaker.base, prompt)
        self.reused = len(self._prefix.ids)
        self._tokens = stream(speaker.model, prompt, sampler, stop, limit, self._prefix, stopped)
        self._words = Detokenizer(speaker.tokenizer)

    def pieces(self) -> Iterator[str]:
        return map(self._words.add, self._tokens)

    def rest(self) -> str:
        return self._words.rest()

    def speaking(self) -> AbstractContextManager[Any]:
        return self._speaker.speaking(self._side)

    def leave(self) -> None:
        self._speaker.prefixes.keep(self._side, self._prefix)
