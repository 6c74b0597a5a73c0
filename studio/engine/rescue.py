"""Going on when memory runs out: let go, make batches smaller, say what else would help."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import msgspec
import torch

from studio.core import memory as arithmetic
from studio.core.errors import StudioError
from studio.core.recipe import Recipe
from studio.engine import attach, failures, memory
from studio.engine.decided import Decided, decided_before, remember
from studio.engine.job import Context
from studio.engine.setup import Setup
from studio.library import models, runs
from studio.library.folders import JobFolder

NO_ROOM = "Out of memory"
_MOST_ADVICE = 3
_MIB, _GIB = 1 << 20, 1 << 30
T = TypeVar("T")


class HalfUpdatedError(Exception):
    """Memory ran out while weights were updated: some have moved and some have not."""


def within_memory(action: Callable[[], T]) -> T | None:
    """What `action` gives; None where memory ran out, and then all that it held is let go."""
    try:
        return action()
    except Exception as error:
        if not failures.out_of_memory(error):
            raise
        traceback.print_exc()
        _let_go(error)
    memory.free()
    return None


def smaller(setup: Setup, folder: JobFolder) -> Setup | None:
    """The same setup with micro-batches of half as many tokens, or with activations computed
    again where one row is one already and the recipe leaves that open; None where neither helps.

    The loss is the mean over a whole step however it is cut, so what is learnt stays the same.
    It is written to decided.json, so that a resumed run begins with it.
    """
    decided = _halved(setup) or _recomputing(setup)
    if decided is None:
        return None
    remember(folder, decided)
    return replace(setup, decided=decided)


def evaluating_less(setup: Setup, longest: int, folder: JobFolder) -> Setup | None:
    """The same with evaluation batches of half as many tokens; None where one row is one already.

    `longest` is the longest held-out row.
    """
    before = setup.decided.evaluation_tokens or setup.decided.micro_batch_tokens
    if before <= longest:
        return None
    decided = msgspec.structs.replace(setup.decided, evaluation_tokens=max(1, longest, before // 2))
    remember(folder, decided)
    return replace(setup, decided=decided)


def no_room(context: Context, where: str) -> StudioError:
    """Memory is too short for this run as it is: what would help, by estimate, the most first."""
    device = "the graphics card" if torch.cuda.is_available() else "this computer"
    decided = decided_before(context.folder)
    alone = decided is not None and decided.micro_batch_size == 1
    even = ", even with one row at a time" if alone else ""
    again = "close other programs and resume: the run goes on from its last checkpoint."
    ways = "; ".join(_ways(context, decided))
    first = f"Start again with what saves most ({ways})" if ways else "Choose a smaller model"
    return StudioError(
        NO_ROOM,
        f"There is not enough free memory on {device} for {where}{even}.",
        f"{first}, or {again}",
    )


def _halved(setup: Setup) -> Decided | None:
    decided, longest = setup.decided, max(1, setup.train_rows.longest)
    batch = setup.recipe.training.batch_size
    before = min(decided.micro_batch_tokens, batch * longest)
    if before <= longest:
        return None
    tokens = max(longest, before // 2)
    rows = tokens // longest
    return msgspec.structs.replace(
        decided,
        micro_batch_size=rows,
        micro_batch_tokens=tokens,
        gradient_accumulation=-(-batch // rows),
    )


def _recomputing(setup: Setup) -> Decided | None:
    decided = setup.decided
    if decided.gradient_checkpointing or setup.recipe.training.gradient_checkpointing != "auto":
        return None
    try:
        attach.checkpoint_activations(setup.model)
    except StudioError:
        return None
    return msgspec.structs.replace(decided, gradient_checkpointing=True)


def _ways(context: Context, decided: Decided | None) -> list[str]:
    """The changes of the recipe that save most, each with about how many bytes."""
    try:
        recipe = _as_it_is(runs.recipe_of(context.folder.path), decided)
        facts = models.inspect(models.resolve(context.home, recipe.model))
    except (StudioError, OSError):
        return []
    found = arithmetic.reductions(recipe, facts, memory.machine(context.home))
    return [
        f"{text[0].lower()}{text[1:]}, about {_size(saved)} less"
        for text, saved, _ in found[:_MOST_ADVICE]
    ]


def _as_it_is(recipe: Recipe, decided: Decided | None) -> Recipe:
    """The recipe with what the rescue did already, so that nobody is told to do it."""
    if decided is None:
        return recipe
    training = msgspec.structs.replace(
        recipe.training,
        micro_batch_size=decided.micro_batch_size,
        gradient_checkpointing="yes" if decided.gradient_checkpointing else "no",
    )
    return msgspec.structs.replace(recipe, training=training)


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GB" if count >= _GIB else f"{count / _MIB:.0f} MB"


def _let_go(error: BaseException) -> None:
    """What frames of a failed call still hold, tensors above all, lives as long as its trace."""
    for link in failures.chain(error):
        traceback.clear_frames(link.__traceback__)
        link.__traceback__ = None
