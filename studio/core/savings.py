"""Changes that make a run smaller, each said in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from studio.core.recipe import LoraPart, Recipe, TrainingPart


def savings(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Changes that make a run smaller, each said in words, with the recipe changed so."""
    training = recipe.training
    if recipe.method == "full":
        yield "Train an adapter with LoRA", msgspec.structs.replace(recipe, method="lora")
    if recipe.method != "qlora":
        yield "Train with QLoRA (4-bit base)", msgspec.structs.replace(recipe, method="qlora")
    if training.gradient_checkpointing != "yes":
        yield "Turn gradient checkpointing on", _with(recipe, gradient_checkpointing="yes")
    if training.micro_batch_size != 1:
        yield "Set micro_batch_size to 1", _with(recipe, micro_batch_size=1)
    if recipe.data.max_length >= 256:
        half = msgspec.structs.replace(recipe.data, max_length=recipe.data.max_length // 2)
        text = f"Halve max_length to {half.max_length}"
        yield text, msgspec.structs.replace(recipe, data=half)
    if training.optimizer in ("adamw", "paged_adamw"):
        yield "Use the 8-bit optimizer", _with(recipe, optimizer="adamw_8bit")
    if recipe.method != "full" and recipe.lora.rank > LoraPart().rank:
        lora = msgspec.structs.replace(recipe.lora, rank=LoraPart().rank)
        yield f"Lower the rank to {lora.rank}", msgspec.structs.replace(recipe, lora=lora)


def _with(recipe: Recipe, **changes: Any) -> Recipe:
    training: TrainingPart = msgspec.structs.replace(recipe.training, **changes)
    return msgspec.structs.replace(recipe, training=training)
