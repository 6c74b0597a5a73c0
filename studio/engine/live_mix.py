"""A mix on a loaded model: its weights can change while the base stays where it is.

Folded it speaks as fast as the bare base; beside the base it takes next to no memory, and works
where the base's weights are quantized. Both are the adapter that would be baked from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import PeftModel, get_peft_model

from studio.core.errors import StudioError
from studio.core.mix_problems import blocks, problems
from studio.core.mixing import Mix
from studio.engine.folded import Fold, Places, Weights
from studio.engine.mixed_adapter import Adapters, config
from studio.library import mixing
from studio.library.adapter_files import AdapterConfig
from studio.library.models.tensors import Tensor


class Changing(Protocol):
    """A mix that is on a model."""

    def can_become(self, mix: Mix) -> bool:
        """Whether `change` takes this mix."""

    def change(self, mix: Mix) -> None:
        """Speak as this mix from now on; the base isn't touched, nor any other adapter."""


class FoldedMix:
    """One mix, as weights of its own that hang in the base's places while it speaks."""

    def __init__(self, places: Places, mix: Mix, tied: bool) -> None:
        """Raises Unfoldable where the base can't take it, StudioError for what can't be mixed."""
        refuse(mix)
        self.weights: Weights = {}
        self._places, self._tied, self._mix = places, tied, mix
        self._adapters = Adapters(tuple(one.adapter for one in mix.adapters))
        self.bytes = self._fold(mix).bytes

    def can_become(self, mix: Mix) -> bool:
        """Any mix of the same adapters: it changes the same tensors."""
        return tuple(one.adapter for one in mix.adapters) == self._adapters.folders

    def make(self) -> Weights:
        """The weights, made for the first time. Raises Unfoldable."""
        self.weights = self._fold(self._mix).make()
        return self.weights

    def change(self, mix: Mix) -> None:
        """The same weights, overwritten. Raises Unfoldable, and then they are nobody's."""
        refuse(mix)
        self._fold(mix).make(into=self.weights)
        self._mix = mix

    def _fold(self, mix: Mix) -> Fold:
        return Fold(self._places, _OfMix(self._adapters, mix), self._tied)


class LiveMix:
    """One mix, as an adapter of its own on PEFT's model around the base."""

    def __init__(self, model: Any, name: str, mix: Mix) -> None:
        """Put it on; `model` below is PEFT's from then on."""
        self.model: PeftModel = model
        self._name = name
        refuse(mix)
        self._mix = mix
        self._adapters = Adapters(tuple(one.adapter for one in mix.adapters))
        self._put_on(model)

    def can_become(self, mix: Mix) -> bool:
        """Whether `change` takes this mix: the same adapters, and as wide as before."""
        same = tuple(one.adapter for one in mix.adapters) == self._adapters.folders
        return same and self._adapters.rank(mix) == self._adapters.rank(self._mix)

    @torch.inference_mode(False)
    @torch.no_grad()
    def change(self, mix: Mix) -> None:
        """Speak as this mix from now on; the base isn't touched, nor any other adapter."""
        for layer, a, b, _ in self._adapters.mixed(mix):
            for place, half in zip(self._places(layer), (a, b), strict=True):
                place.data.copy_(half)
        self._mix = mix

    def _put_on(self, model: Any) -> None:
        settings = config(self._mix, self._adapters)
        if isinstance(model, PeftModel):
            model.add_adapter(self._name, settings)
            self.model = model
        else:
            self.model = get_peft_model(model, settings, adapter_name=self._name)
        self.model.set_adapter(self._name, inference_mode=True)
        self.model.eval()
        self.change(self._mix)

    def _places(self, layer: str) -> tuple[Any, Any]:
        module: Any = self.model.get_base_model().get_submodule(layer)
        if self._name in module.lora_A:
            return module.lora_A[self._name].weight, module.lora_B[self._name].weight
        return module.lora_embedding_A[self._name], module.lora_embedding_B[self._name]


def refuse(mix: Mix) -> None:
    """StudioError for what can't be mixed; whoever made the recipe may not have looked."""
    parts = [mixing.part(Path(one.adapter)) for one in mix.adapters]
    found = problems(mix, parts)
    if blocks(found):
        first = next(one for one in found if one.severity == "error")
        raise StudioError("These can't be mixed", first.text, first.fix, found)


class _OfMix:
    """The adapter that a mix would be baked into, layer by layer as it is asked for."""

    name = "the mix"

    def __init__(self, adapters: Adapters, mix: Mix) -> None:
        self._adapters, self._mix = adapters, mix
        rank = adapters.rank(mix)
        told = config(mix, adapters).to_dict()
        self.config = AdapterConfig(
            base="", method="lora", rank=rank, alpha=rank, targets=adapters.layers, variants=(),
            whole=told,
        )  # fmt: skip
        self._files: list[Any] = []
        self._last: tuple[str, tuple[torch.Tensor, ...]] = ("", ())
        self._layers: dict[str, tuple[str, int]] = {}
        self.keys: dict[str, Tensor] = {}
        for layer in adapters.layers:
            inner, outer = adapters.widths(layer)
            shapes = ((rank, inner), (outer, rank))
            for half, (key, shape) in enumerate(zip(adapters.key(layer), shapes, strict=True)):
                self._layers[key] = layer, half
                self.keys[key] = Tensor(key, "F32", shape, Path(), 0, 0)

    @contextmanager
    def opened(self) -> Iterator[_OfMix]:
        """Itself, with the adapters' files open."""
        with self._adapters.opened() as files:
            self._files = files
            yield self

    def get_tensor(self, key: str) -> torch.Tensor:
        """Half a pair; the other one is kept, since it is asked for next."""
        layer, half = self._layers[key]
        if self._last[0] != layer:
            self._last = layer, self._adapters.layer(self._mix, layer, self._files)[:2]
        return self._last[1][half]
