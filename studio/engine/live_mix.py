"""A mix on a loaded model: its weights can change while the base stays where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model

from studio.core.errors import StudioError
from studio.core.mix_problems import blocks, problems
from studio.core.mixing import Mix
from studio.engine.mixed_adapter import Adapters, config
from studio.library import mixing


class LiveMix:
    """One mix, as an adapter of its own on PEFT's model around the base."""

    def __init__(self, model: Any, name: str, mix: Mix) -> None:
        """Put it on; `model` below is PEFT's from then on."""
        self.model: PeftModel = model
        self._name = name
        _refuse(mix)
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


def _refuse(mix: Mix) -> None:
    """StudioError for what can't be mixed; whoever made the recipe may not have looked."""
    parts = [mixing.part(Path(one.adapter)) for one in mix.adapters]
    found = problems(mix, parts)
    if blocks(found):
        first = next(one for one in found if one.severity == "error")
        raise StudioError("These can't be mixed", first.text, first.fix, found)
