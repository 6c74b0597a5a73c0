"""A model's repeated layers, compiled by torch where they stand. For cards, and unverified there.

https://docs.pytorch.org/tutorials/recipes/regional_compilation.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


class Regions:
    """Layers that are all alike, so that one compilation serves all. Whatever can't be compiled
    is computed as it stands."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._layers: Sequence[Any] = layers
        self._compiled: list[Any] = []

    @contextmanager
    def compiled(self, by: str = "inductor") -> Iterator[None]:
        """Inside of it the layers are compiled; the first time takes as long as compiling does."""
        if not self._compiled:
            self._compiled = self._compile(by)
        self._use(self._compiled)
        try:
            yield
        finally:
            self._use([None] * len(self._layers))

    def _compile(self, by: str) -> list[Any]:
        from torch._dynamo import config

        config.suppress_errors = True
        for layer in self._layers:
            layer.compile(dynamic=True, backend=by)
        return [layer._compiled_call_impl for layer in self._layers]

    def _use(self, calls: Sequence[Any]) -> None:
        for layer, call in zip(self._layers, calls, strict=True):
            layer._compiled_call_impl = call


def of(model: nn.Module) -> Regions | None:
    """The decoder layers of a model; None where it has none that are known."""
    layers = [one for one in model.modules() if isinstance(one, GradientCheckpointingLayer)]
    return Regions(layers) if layers else None
