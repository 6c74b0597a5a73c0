"""Checks of what makes a run smaller in unusual ways: offloaded activations, early updates."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core import costs
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.memory import GIB
from studio.core.problem import Problem
from studio.core.recipe import Recipe
from studio.core.sizing.offloading import recomputing


def check_levers(
    recipe: Recipe,
    machine: Machine | None,
    model: ModelFacts | None,
    dataset: DatasetReport | None,
) -> Iterator[Problem]:
    """What keeps these from working, or from gaining anything."""
    if recipe.training.optimizer_in_backward:
        yield from _updating_early(recipe)
    if recipe.training.offload_activations and machine is not None:
        yield from _offloading(recipe, machine, model, dataset.max_tokens if dataset else 0)


def _updating_early(recipe: Recipe) -> Iterator[Problem]:
    """What keeps weights from being updated in the backward pass with the same result."""
    training, field = recipe.training, "training.optimizer_in_backward"
    never = "set optimizer_in_backward to false"
    if recipe.method != "full":
        yield Problem(
            field=field,
            text="An adapter's gradients are small; updating in the backward pass gains nothing.",
            fix="Set optimizer_in_backward to false, or method to full.",
            severity="info",
        )
        return
    if training.max_grad_norm:
        yield Problem(
            field=field,
            text="Gradients are clipped by the norm of all of them, and in the backward pass they "
            "are never all there.",
            fix=f"Set max_grad_norm to 0, which never clips, or {never}.",
        )
    if training.micro_batch_size not in (0, training.batch_size):
        yield Problem(
            field=field,
            text="Updating in the backward pass needs the whole batch in one go, and micro-batches "
            "are smaller.",
            fix=f"Set batch_size to {training.micro_batch_size}, or micro_batch_size to 0.",
        )
    if training.dtype == "float16":
        yield Problem(
            field=field,
            text="In float16 it shows only after the backward pass whether a gradient overflowed.",
            fix=f"Set dtype to auto or bfloat16, or {never}.",
        )


def _offloading(
    recipe: Recipe, machine: Machine, model: ModelFacts | None, longest: int
) -> Iterator[Problem]:
    if not machine.gpus:
        yield Problem(
            field="training.offload_activations",
            text="Without a graphics card activations lie in system memory already: nothing is "
            "saved by moving them there.",
            fix="Set offload_activations to false; nothing changes on this machine.",
            severity="info",
        )
        return
    recomputed = recomputing(recipe, machine) == "yes"
    need = costs.ram_to_offload(recipe, model, machine, longest, recomputed)
    if 0 < machine.ram_free_bytes < need:
        yield Problem(
            field="training.offload_activations",
            text=f"Activations kept in system memory take {need / GIB:.1f} GB of it with the "
            f"engine, and {machine.ram_free_bytes / GIB:.1f} GB are free.",
            fix="Set gradient_checkpointing to yes, or lower micro_batch_size or max_length.",
            severity="warning",
        )
