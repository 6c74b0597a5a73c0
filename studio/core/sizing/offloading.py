"""What activation offloading moves from a card to system memory, and what it takes there.

A tensor of a layer that is kept for the backward pass goes to system memory when the forward pass
keeps it and comes back for the operation that needs it (torch, autograd/graph.py:
saved_tensors_hooks; engine/offload.py). Weights stay, and so does what is too small to be worth the
way.
"""

from __future__ import annotations

from studio.core.facts import Machine
from studio.core.recipe import AutoBool, Recipe

LEAST = 1 << 20
"""Bytes; starting a copy takes about as long as moving so much."""


def host_bytes(size: int, pinned: bool) -> int:
    """System memory for a tensor. torch rounds page-locked blocks up to a power of two
    (ATen/core/CachingHostAllocator.h: PowerOf2Ceil)."""
    return 1 << (size - 1).bit_length() if pinned and size else size


def recomputing(recipe: Recipe, machine: Machine | None) -> AutoBool:
    """Gradient checkpointing as asked; where activations travel, automatic means yes: then it is
    the layers' inputs alone, and to compute the rest again is quicker than to fetch it."""
    training = recipe.training
    travels = training.offload_activations and (machine is None or bool(machine.gpus))
    asked = training.gradient_checkpointing
    return "yes" if asked == "auto" and travels else asked
