"""Well-known models to plan with, and which of them a card can train: facts from resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from studio.core import memory
from studio.core.facts import Machine, ModelFacts
from studio.core.memory import Estimate
from studio.core.recipe import DataPart, DatasetPart, Method, ModelPart, Recipe, TrainingPart

OFFER_LENGTH = 1024
"""Tokens a row in an offer: enough for a chat of a few turns."""
OFFER_BATCH = 16
_BYTES_OF_BF16 = 2


class KnownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the hub. `config` has what the arithmetic needs of its config.json, `parameters`
    counts its weights, a tied lm_head once.

    `config_source` is that file's address, `read_in` the public copy that it was read in, and
    `parameters_source` says where the count stands; both by a name of the catalogue's copies or
    an address.
    """

    id: str
    licence: str
    parameters: int
    parameters_source: str
    config_source: str
    read_in: str
    config: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name without the organisation's."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def context_length(self) -> int:
        """The most tokens it can see at once; 0 where the sources don't say."""
        length = self.config.get("max_position_embeddings") or self.config.get("n_positions")
        return length if isinstance(length, int) else 0

    def facts(self) -> ModelFacts:
        """As if its folder were here, as far as the arithmetic asks."""
        return ModelFacts(
            path=self.id,
            name=self.name,
            config=self.config,
            model_type=str(self.config["model_type"]),
            parameters=self.parameters,
            tensor_bytes=_BYTES_OF_BF16 * self.parameters,
            context_length=self.context_length,
            licence=self.licence,
        )


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a card can train: by this method, with this recipe, taking this much."""

    model: KnownModel
    method: Method
    recipe: Recipe
    estimate: Estimate


def largest(
    machine: Machine, models: Sequence[KnownModel], method: Method, most: int = 0
) -> tuple[Offer, ...]:
    """The models of the catalogue that fit on this machine by this method, the largest first.

    Reckoned for rows of OFFER_LENGTH tokens in batches of OFFER_BATCH, with what costs no
    quality: one row at a time where that is needed, checkpointing, the 8-bit optimizer. A model
    that merely may fit isn't offered. `most` ends the search after so many; 0 is all.
    """
    offers: list[Offer] = []
    for model in sorted(models, key=lambda one: -one.parameters):
        if offer := _offer(machine, model, method):
            offers.append(offer)
        if most and len(offers) == most:
            break
    return tuple(offers)


def sensible(model: str, method: Method) -> Recipe:
    """The recipe of an offer for the model of this name."""
    return Recipe(
        model=ModelPart(path=model),
        dataset=(DatasetPart(path="sample"),),
        method=method,
        data=DataPart(max_length=OFFER_LENGTH),
        training=TrainingPart(batch_size=OFFER_BATCH),
    )


def _offer(machine: Machine, model: KnownModel, method: Method) -> Offer | None:
    facts, first = model.facts(), sensible(model.id, method)
    if 0 < model.context_length < OFFER_LENGTH:
        data = msgspec.structs.replace(first.data, max_length=model.context_length)
        first = msgspec.structs.replace(first, data=data)
    for recipe in (first, _frugal(first)):
        estimate = memory.estimate(recipe, facts, machine, advise=False)
        if estimate.verdict == "fits":
            return Offer(model=model, method=method, recipe=recipe, estimate=estimate)
    return None


def _frugal(recipe: Recipe) -> Recipe:
    training = msgspec.structs.replace(recipe.training, micro_batch_size=1, optimizer="adamw_8bit")
    return msgspec.structs.replace(recipe, training=training)
