"""One file a kind of learning: its batches, its loss, what it shows."""

from __future__ import annotations

from studio.core.recipe import Task as TaskName
from studio.engine.tasks.causal_lm import CausalLM

_TASKS = {"causal-lm": CausalLM}


def of(name: TaskName) -> type[CausalLM]:
    """The class of a recipe's task."""
    return _TASKS[name]
