"""A GGUF file that answers in a conversation, as llama.cpp runs it: same prompts, same sampling
and same seed as for a live model, so that two columns differ by what the file says alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers.utils.chat_template_utils import render_jinja_template

from studio.core.errors import StudioError
from studio.core.turns import Messages
from studio.engine import room
from studio.engine.generate import Sampler
from studio.engine.llama_cpp.model import GgufModel
from studio.engine.prefix import Broken
from studio.library import chat_templates

LONGEST = 8_192
"""Tokens of context at most: room for all of them is taken at once."""

_HALF = "\N{REPLACEMENT CHARACTER}"
"""Stands for bytes that are no character, or none yet."""


class OfGguf:
    """One file on the processor. What it read stays in its memory, so that a next turn reads only
    what is new."""

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise StudioError(
                "No such file", f"There is no {file}.", "It may have been moved: choose it again."
            )
        self.bytes = file.stat().st_size
        _refuse_too_large(file, self.bytes)
        self.model = GgufModel(
            file, context=LONGEST, as_trained=True, threads=torch.get_num_threads()
        )
        self.key = str(file)
        self.context_length = self.model.context
        self._template = self.model.template or chat_templates.chatml(self._has("<|im_end|>"))

    def prompt(self, messages: Messages) -> list[int]:
        """The ids that llama.cpp reads for these messages."""
        return self.model.encode(self.render(messages))

    def render(self, messages: Messages) -> str:
        """The prompt by the file's own template, up to where the answer begins."""
        model = self.model
        named = {"bos_token": model.bos, "eos_token": model.eos}
        tokens: dict[str, Any] = {
            name: "" if id is None else model.name(id) for name, id in named.items()
        }
        rendered: Any = render_jinja_template(
            [list(messages)], chat_template=self._template, add_generation_prompt=True, **tokens
        )
        return str(rendered[0][0])

    def reply(
        self, prompt: Sequence[int], sampler: Sampler, limit: int, stopped: Callable[[], bool]
    ) -> _Reply:
        """An answer of at most so many tokens."""
        return _Reply(self.model, prompt, sampler, limit, stopped)

    def close(self) -> None:
        """Give its memory back."""
        self.model.close()

    def _has(self, text: str) -> bool:
        return len(self.model.tokenize(text)) == 1


def _refuse_too_large(file: Path, size: int) -> None:
    """It would be read from the disk again for every token."""
    free = room.spare(torch.device("cpu"))
    if size > free:
        raise StudioError(
            "Not enough memory",
            f"{file.name} takes {size / 2**30:.1f} GB, and {free / 2**30:.1f} GB are free.",
            "Close other programs, unload the model, or export it in fewer bits.",
        )


class _Reply:
    def __init__(
        self,
        model: GgufModel,
        prompt: Sequence[int],
        sampler: Sampler,
        limit: int,
        stopped: Callable[[], bool],
    ) -> None:
        self._model, self._sampler, self._limit = model, sampler, limit
        self._tokens, self._stopped = list(prompt), stopped
        self._held = b""
        self.reused = model.known(self._tokens)
        sampler.begin(prompt)

    def pieces(self) -> Iterator[str]:
        for _ in range(self._limit):
            logits = self._model.logits(self._tokens, len(self._tokens) - 1, self._tick)
            token = self._sampler(torch.from_numpy(logits[0]))
            if self._model.is_stop(token):
                return
            self._tokens.append(token)
            self._held += self._model.piece(token)
            yield "" if self._text().endswith(_HALF) else self._tell()

    def rest(self) -> str:
        """What is held back, without the beginning of a character that never came."""
        return self._tell().rstrip(_HALF)

    def _text(self) -> str:
        return self._held.decode("utf-8", "replace")

    def _tell(self) -> str:
        text, self._held = self._text(), b""
        return text

    def speaking(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def leave(self) -> None:
        """The model keeps what it read by itself."""

    def _tick(self) -> None:
        if self._stopped():
            raise Broken
