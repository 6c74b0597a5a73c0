"""llama.cpp as a runtime: a GGUF file as it is run by all that are built on llama.cpp."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from studio.engine.llama_cpp import rendering
from studio.engine.llama_cpp.model import GgufModel
from studio.engine.llama_cpp.rendering import Server
from studio.engine.runtimes import Messages, Row, Tick, Told

LONGEST = 8_192
"""Tokens of context that a check asks for at most."""


class OfLlamaCpp:
    """One file on the processor, with a LoRA adapter where one is named. `release` is called when
    it is closed.

    Prompts are rendered by llama-server, which removes the first token's text where the tokenizer
    puts it there anyway; here it stands in the text, as it does in other runtimes.
    """

    name = "llama.cpp"
    candidates = 0

    def __init__(
        self, file: Path, adapter: Path | None = None, release: Callable[[], None] | None = None
    ) -> None:
        self._file = file
        self._ends = contextlib.ExitStack()
        if release:
            self._ends.callback(release)
        self._server: Server | None = None
        self._serving = contextlib.ExitStack()
        try:
            # by itself llama.cpp takes four threads, however many cores there are
            threads = torch.get_num_threads()
            model = GgufModel(file, context=LONGEST, threads=threads, adapter=adapter)
            self.model = self._ends.enter_context(model)
        except BaseException:
            self._ends.close()
            raise
        self._ends.push(self._serving)

    def render(self, messages: Messages) -> str:
        if self._server is None:
            self._server = self._serving.enter_context(rendering.serving(self._file))
        text = self._server.render(messages)
        added = self.model.added
        return text if text.startswith(added) else added + text

    def encode(self, text: str) -> list[int]:
        return self.model.encode(text)

    @property
    def bos(self) -> int | None:
        return self.model.bos

    @property
    def stops(self) -> frozenset[int]:
        return frozenset(filter(self.model.is_stop, range(self.model.vocabulary)))

    def decode(self, ids: Sequence[int]) -> str:
        pieces = (self.model.piece(token, special=True) for token in ids)
        return b"".join(pieces).decode("utf-8", "replace")

    def greedy(self, prompts: Sequence[Sequence[int]], most: int, tick: Tick) -> list[list[int]]:
        self._leave_server()
        answers = []
        for prompt in prompts:
            answer = []
            for token in self.model.greedy(prompt, most):
                tick()
                answer.append(token)
            answers.append(answer[:-1] if answer and self.model.is_stop(answer[-1]) else answer)
        return answers

    def read(self, rows: Sequence[Row], tick: Tick) -> Iterator[Told]:
        self._leave_server()
        for row in rows:
            tick()
            first, last = min(row.places), max(row.places)
            logits = torch.from_numpy(self.model.logits(row.ids[: last + 1], first))
            found = torch.log_softmax(logits[[place - first for place in row.places]], dim=-1)
            yield Told(found, found.gather(-1, torch.tensor(row.targets)[:, None])[:, 0])

    def close(self) -> None:
        self._ends.close()

    def _leave_server(self) -> None:
        """It holds the model a second time, and has told all that it is asked for."""
        self._serving.close()
        self._server = None
