"""Changes that make a run smaller: one field at a time, each said in words with what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from studio.core.choices import SCALES
from studio.core.lengths import MICRO_BATCH_TOKENS, Lengths
from studio.core.recipe import Recipe
from studio.core.sizing.plan import updates_early

SHORTEST = 256
"""Tokens; where nobody knows how long rows are, they aren't cut below this."""
KEPT_WHOLE = (0.99, 0.95, 0.9)
"""Shares of rows that a shorter length leaves whole, where lengths are known."""
LEAST_RANK = 8


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A value for a field: the change in words, as advice (`do`), and what it costs."""

    value: Any
    text: str
    do: str
    costs: str


class Lever(msgspec.Struct, frozen=True, kw_only=True):
    """A field (“training.optimizer”) and the values it may take, each saving more than the one
    before."""

    field: str
    steps: tuple[Step, ...]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What levers depend on besides the recipe: rows and tokens a row of its micro-batches, and
    what the machine can do."""

    rows: int
    length: int
    on_gpu: bool = True
    nf4: bool = True
    lengths: Lengths | None = None


def levers(recipe: Recipe, setting: Setting) -> tuple[Lever, ...]:
    """All that would make the run smaller, what costs least in quality and speed first.

    The batch of an optimizer step is never changed. A shorter length comes behind the methods,
    since it takes away what is to be learnt.
    """
    found = (
        ("training.micro_batch_size", _micro_batches(recipe, setting)),
        ("training.gradient_checkpointing", _checkpointing(recipe)),
        ("training.offload_activations", _offloading(recipe, setting)),
        ("training.optimizer", _optimizers(recipe, setting)),
        ("training.optimizer_in_backward", _updating_early(recipe)),
        ("training.base_precision", _precisions(recipe)),
        ("method", _methods(recipe, setting)),
        ("data.max_length", _max_lengths(recipe, setting)),
        ("lora.rank", _ranks(recipe)),
    )
    made = (Lever(field=field, steps=tuple(steps)) for field, steps in found)
    return tuple(lever for lever in made if lever.steps)


def savings(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Changes worth trying one by one, each said as advice, with the recipe changed so."""
    length = recipe.data.max_length
    rows = recipe.training.micro_batch_size or max(1, MICRO_BATCH_TOKENS // length)
    rows = min(rows, recipe.training.batch_size)
    for lever in levers(recipe, Setting(rows=rows, length=length)):
        steps = lever.steps
        if lever.field == "training.micro_batch_size":
            steps = steps[-1:]
        elif lever.field != "method":
            steps = steps[:1]
        for step in steps:
            yield step.do, changed(recipe, lever.field, step.value)


def changed(recipe: Recipe, field: str, value: Any) -> Recipe:
    """The recipe with one field (“method” or “training.optimizer”) changed."""
    part, _, name = field.rpartition(".")
    if part:
        value = msgspec.structs.replace(getattr(recipe, part), **{name: value})
    return msgspec.structs.replace(recipe, **{part or name: value})


def _micro_batches(recipe: Recipe, setting: Setting) -> Iterator[Step]:
    """Divisors of the batch, each at most about half the one before. An automatic size would grow
    again with shorter rows, so there it may be 1 by order though it is already."""
    batch, rows = recipe.training.batch_size, setting.rows
    automatic = not recipe.training.micro_batch_size
    last = rows + 1 if automatic and rows == 1 < batch else rows
    for size in range(min(batch, last - 1), 0, -1):
        if batch % size or 2 * size > last + 1:
            continue
        last = size
        before = f"automatic ({rows})" if automatic else f"{rows}"
        yield Step(
            value=size,
            text=f"Micro-batch {before} → {size}, added up over {batch // size} for each step",
            do=f"Set micro_batch_size to {size}",
            costs="The same result; somewhat slower where one doesn't keep the card busy.",
        )


def _checkpointing(recipe: Recipe) -> Iterator[Step]:
    if recipe.training.gradient_checkpointing == "yes":
        return
    # forward again: 2 more floating-point operations a weight and token, on top of 6 where all
    # weights learn and of 4 over a frozen base
    more = "a third" if recipe.method == "full" else "half as much"
    yield Step(
        value="yes",
        text="Gradient checkpointing on: activations are computed again instead of kept",
        do="Turn gradient checkpointing on",
        costs=f"The same result; up to {more} more to compute.",
    )


def _offloading(recipe: Recipe, setting: Setting) -> Iterator[Step]:
    if setting.on_gpu and not recipe.training.offload_activations:
        yield Step(
            value=True,
            text="Activations in system memory: what is kept of them leaves the card",
            do="Offload activations to system memory",
            costs="The same result; they travel there and back in each step, and fill that memory.",
        )


def _updating_early(recipe: Recipe) -> Iterator[Step]:
    """Only where it would be the same: a norm to clip by is known when all gradients are there."""
    if recipe.training.optimizer_in_backward:
        return
    if updates_early(changed(recipe, "training.optimizer_in_backward", True)):
        yield Step(
            value=True,
            text="Weights updated in the backward pass: never all gradients at once",
            do="Update weights in the backward pass",
            costs="The same result, about as fast; only without clipping, a batch in one go.",
        )


def _optimizers(recipe: Recipe, setting: Setting) -> Iterator[Step]:
    now = recipe.training.optimizer
    if now in ("adamw", "paged_adamw"):
        yield Step(
            value="adamw_8bit",
            text="The optimizer's states in 8 bits instead of 32",
            do="Use the 8-bit optimizer",
            costs="As good and as fast by its paper (arXiv 2110.02861).",
        )
    if setting.on_gpu and now in ("adamw", "adamw_8bit", "paged_adamw"):
        yield Step(
            value="paged_adamw_8bit",
            text="Paged 8-bit optimizer: its states may move to system memory",
            do="Use the paged 8-bit optimizer",
            costs="The same result as in 8 bits; steps wait while states move.",
        )


def _precisions(recipe: Recipe) -> Iterator[Step]:
    now = recipe.training.base_precision
    if recipe.method == "full" and now != "16" and recipe.training.dtype != "float16":
        yield Step(
            value="16",
            text="Weights kept in 16 bits instead of 32",
            do="Set base_precision to 16",
            costs="Small updates are lost to rounding: it learns a little worse.",
        )
    elif recipe.method == "lora" and now == "32":
        yield Step(
            value="auto",
            text="The base in 16 bits instead of 32",
            do="Set base_precision to auto",
            costs="Hardly anything: the base doesn't learn.",
        )


def _methods(recipe: Recipe, setting: Setting) -> Iterator[Step]:
    anew = recipe.method == "full" and recipe.training.learning_rate
    again = " Its learning rate wants to be set anew." if anew else ""
    if recipe.method == "full":
        yield Step(
            value="lora",
            text="LoRA instead of full fine-tuning: only an adapter learns",
            do="Train an adapter with LoRA",
            costs=f"As good on small and middling sets, less so on very large ones.{again}",
        )
    if recipe.method != "qlora" and setting.nf4:
        only = "only an adapter learns, over a" if recipe.method == "full" else "the"
        instead = "" if recipe.method == "full" else " instead of 16"
        yield Step(
            value="qlora",
            text=f"QLoRA: {only} base in 4 bits{instead}",
            do="Train with QLoRA (4-bit base)",
            costs=f"About as good by its paper (arXiv 2305.14314); slower steps.{again}",
        )


def _max_lengths(recipe: Recipe, setting: Setting) -> Iterator[Step]:
    for length in _shorter(setting):
        yield Step(
            value=length,
            text=f"Rows of at most {length:,} tokens instead of {recipe.data.max_length:,}",
            do=f"Lower max_length to {length}",
            costs=_cut(length, setting.lengths),
        )


def _shorter(setting: Setting) -> list[int]:
    if setting.lengths and sum(setting.lengths.rows):
        limits = {setting.lengths.fits(share) for share in KEPT_WHOLE}
        return sorted((limit for limit in limits if limit < setting.length), reverse=True)
    found, length = [], setting.length
    while length > SHORTEST:
        length = max(SHORTEST, length // 2)
        found.append(length)
    return found


def _cut(length: int, lengths: Lengths | None) -> str:
    if not lengths or not (rows := sum(lengths.rows)):
        return "Longer rows lose their end; look how long yours are."
    fate = lengths.at(length)
    lost = f", {fate.lost_rows:,} all that they teach" if fate.lost_rows else ""
    return f"{fate.cut_rows:,} of {rows:,} rows lose their end{lost}."


def _ranks(recipe: Recipe) -> Iterator[Step]:
    rank = recipe.lora.rank
    while rank // 2 >= max(LEAST_RANK, recipe.lora.alpha / SCALES[1]):
        rank //= 2
        yield Step(
            value=rank,
            text=f"Rank {recipe.lora.rank} → {rank}",
            do=f"Lower the rank to {rank}",
            costs="Less room to learn: it shows on a large set, hardly on a small one.",
        )
