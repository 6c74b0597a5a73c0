"""A program that runs exported models, as the passport asks it: text, tokens, answers, odds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

Messages = Sequence[dict[str, str]]
Tick = Callable[[], None]
"""Called between pieces of work; may raise to break off."""


@dataclass(frozen=True)
class Row:
    """Token ids of a prompt with its answer, and the places whose next token is asked for: at place
    p the distribution after `ids[: p + 1]`, whose right answer is `ids[p + 1]`."""

    ids: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def targets(self) -> list[int]:
        """The token that really follows at each place."""
        return [self.ids[place + 1] for place in self.places]


@dataclass(frozen=True)
class Told:
    """What a runtime says of one row: natural log-probabilities in float32 on the processor.

    `logprobs` is [places, vocabulary]; or, with `ids` of the same shape, of the likeliest
    candidates alone, the likeliest first. `targets` is that of each place's real next token, NaN
    where it isn't told.
    """

    logprobs: torch.Tensor
    targets: torch.Tensor
    ids: torch.Tensor | None = None

    @property
    def chosen(self) -> torch.Tensor:
        """The likeliest token of each place."""
        best = self.logprobs.argmax(-1)
        return best if self.ids is None else self.ids.gather(-1, best[:, None])[:, 0]


class Runtime(Protocol):
    """An exported model under check, as it is loaded by those who will use it.

    `candidates` is how many tokens it tells of at each place, 0 for all of them.
    """

    name: str
    candidates: int

    def render(self, messages: Messages) -> str:
        """The prompt that a conversation becomes, byte for byte, up to where the answer begins."""

    def encode(self, text: str) -> list[int]:
        """The ids that the model reads for a rendered prompt, with what the runtime adds itself."""

    @property
    def bos(self) -> int | None:
        """The token that begins a text; None where there is none."""

    @property
    def stops(self) -> frozenset[int]:
        """The ids at which it ends an answer by itself."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included."""

    def greedy(self, prompts: Sequence[Sequence[int]], most: int, tick: Tick) -> list[list[int]]:
        """The likeliest continuations of ids, at most so many tokens each, without the stop."""

    def read(self, rows: Sequence[Row], tick: Tick) -> Iterator[Told]:
        """What it says at the places of each row, in the order of the rows."""

    def close(self) -> None:
        """Give memory and processes back."""
