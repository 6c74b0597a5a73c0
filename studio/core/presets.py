"""Sensible settings for cards of the usual sizes, by method: what to begin with there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from studio.core import cards, memory
from studio.core.facts import ModelFacts
from studio.core.memory import Estimate
from studio.core.recipe import Method, Optimizer, Recipe
from studio.core.savings import changed

SIZES = (6, 8, 12, 16, 24, 48)
"""Gigabytes of the cards that there are presets for."""
SHORTEST = 512
"""Tokens; a preset doesn't go below, since most chats are longer."""
_LENGTHS = {6: 1024, 8: 1024, 12: 2048, 16: 2048, 24: 4096, 48: 8192}
_RANKS = {6: 8, 8: 16, 12: 16, 16: 32, 24: 32, 48: 64}
_EIGHT_BITS_UP_TO: dict[Method, int] = {"full": 24, "lora": 6, "qlora": 8}


class CardPreset(msgspec.Struct, frozen=True, kw_only=True):
    """What to set for a method on a card of this size, in a sentence and by field
    (“training.optimizer”); `estimate` is what it takes there, None where no model is chosen."""

    gigabytes: int
    method: Method
    text: str
    values: dict[str, Any]
    estimate: Estimate | None = None

    def apply(self, recipe: Recipe) -> Recipe:
        """The recipe with these values; everything else stays."""
        for field, value in self.values.items():
            recipe = changed(recipe, field, value)
        return recipe


def preset(
    gigabytes: int, method: Method, recipe: Recipe, model: ModelFacts | None = None
) -> CardPreset | None:
    """The settings of a card's size (one of SIZES) for a method.

    For a model the longest rows that surely fit, halved down to SHORTEST and, where that isn't
    enough, one row at a time and with the 8-bit optimizer; None where nothing fits, or nothing is
    known of the model. Checkpointing is left to the run, which turns it on where it must.
    """
    if model is None:
        return _made(gigabytes, method, next(_tries(gigabytes, method, 0)))
    machine = cards.machine_with(cards.of_size(gigabytes))
    for values in _tries(gigabytes, method, model.context_length):
        found = _made(gigabytes, method, values)
        estimate = memory.estimate(found.apply(recipe), model, machine, advise=False)
        if estimate.verdict == "fits":
            return msgspec.structs.replace(found, estimate=estimate)
    return None


def _made(gigabytes: int, method: Method, values: dict[str, Any]) -> CardPreset:
    said = [f"rows of up to {values['data.max_length']:,} tokens"]
    if method != "full":
        said.append(f"rank {values['lora.rank']}")
    if values["training.micro_batch_size"]:
        said.append("one row at a time")
    if values["training.optimizer"] == "adamw_8bit":
        said.append("the 8-bit optimizer")
    whole = f"{', '.join(said)}."
    return CardPreset(
        gigabytes=gigabytes, method=method, text=whole[0].upper() + whole[1:], values=values
    )


def _tries(gigabytes: int, method: Method, context: int) -> Iterator[dict[str, Any]]:
    length, rank = _LENGTHS[gigabytes], _RANKS[gigabytes]
    first: Optimizer = "adamw_8bit" if gigabytes <= _EIGHT_BITS_UP_TO[method] else "adamw"
    length = min(length, context or length)
    while length:
        for micro_batch, optimizer in ((0, first), (1, first), (1, "adamw_8bit")):
            yield _values(method, length, rank, micro_batch, optimizer)
        length = length // 2 if length // 2 >= SHORTEST else 0


def _values(
    method: Method, length: int, rank: int, micro_batch: int, optimizer: str
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "method": method,
        "data.max_length": length,
        "training.batch_size": 16,
        "training.micro_batch_size": micro_batch,
        "training.optimizer": optimizer,
        "training.gradient_checkpointing": "auto",
        "training.base_precision": "auto",
    }
    adapter = {"lora.rank": rank, "lora.alpha": 2.0 * rank}
    return values if method == "full" else values | adapter
