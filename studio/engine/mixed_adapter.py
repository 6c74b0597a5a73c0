"""A mix as an adapter in PEFT's format: every layer in turn, without any model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors import safe_open
from safetensors.torch import save_file

from studio.core.mixing import Mix, rank_of
from studio.engine.mixed_layers import Piece, distance, mixed
from studio.library import adapter_files, mixing
from studio.library.mixing import Pair

_TASK = "CAUSAL_LM"
_ITS_OWN = (
    "README.md", "LICENSE", "LICENSE.txt", "passport.json", mixing.FILE, adapter_files.CONFIG,
    adapter_files.WEIGHTS,
)  # fmt: skip


class Adapters:
    """The adapters of a mix: their layers are looked up once, their files open only in between."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self.folders = folders
        self._pairs: list[dict[str, Pair]] = [mixing.pairs(Path(folder)) for folder in folders]
        self.layers = tuple(dict.fromkeys(name for each in self._pairs for name in each))

    def rank(self, mix: Mix) -> int:
        """The rank of the mix's adapter."""
        return rank_of(mix, [max(p.layer.rank for p in each.values()) for each in self._pairs])

    def key(self, layer: str) -> tuple[str, str]:
        """The names of A and B in an adapter's file."""
        pair = next(each[layer] for each in self._pairs if layer in each)
        return pair.a.name, pair.b.name

    def _pieces(self, mix: Mix, layer: str, opened: list[Any]) -> list[Piece]:
        """What each adapter that changes this layer brings into it."""
        found = []
        for one, pairs, file in zip(mix.adapters, self._pairs, opened, strict=True):
            if pair := pairs.get(layer):
                a, b = (file.get_tensor(half.name).float() for half in (pair.a, pair.b))
                found.append(Piece(a, b, pair.scale, one.weight))
        return found

    def widths(self, layer: str) -> tuple[int, int]:
        """What goes into a layer and what comes out of it."""
        found = next(each[layer] for each in self._pairs if layer in each).layer
        return found.inner, found.outer

    @contextmanager
    def opened(self) -> Iterator[list[Any]]:
        """The adapters' files, open for the length of the block."""
        with ExitStack() as files:
            yield [
                files.enter_context(safe_open(Path(folder) / adapter_files.WEIGHTS, "pt"))
                for folder in self.folders
            ]

    def layer(
        self, mix: Mix, layer: str, opened: list[Any]
    ) -> tuple[torch.Tensor, torch.Tensor, list[Piece]]:
        """A and B of the mix in one layer, and what they were made of."""
        pieces = self._pieces(mix, layer, opened)
        return (*mixed(mix, layer, pieces, self.rank(mix)), pieces)

    def mixed(self, mix: Mix) -> Iterator[tuple[str, torch.Tensor, torch.Tensor, list[Piece]]]:
        """The name, A and B of every layer of the mix, and what they were made of."""
        with self.opened() as opened:
            for layer in self.layers:
                yield (layer, *self.layer(mix, layer, opened))


def config(mix: Mix, found: Adapters) -> LoraConfig:
    """The settings of the mix's adapter: one rank, scaled by 1, on exactly the layers it has.

    PEFT's own function takes the first adapter's settings over instead: with its rsLoRA the mix
    comes out sqrt(rank) times too strong, and other adapters' layers are lost where it was
    confined to some.
    """
    first = adapter_files.read_config(Path(mix.adapters[0].adapter)).whole
    rank = found.rank(mix)
    return LoraConfig(
        task_type=_TASK,
        base_model_name_or_path=mix.base or first.get("base_model_name_or_path"),
        r=rank,
        lora_alpha=rank,
        lora_dropout=0.0,
        fan_in_fan_out=bool(first.get("fan_in_fan_out")),
        target_modules=list(found.layers),
        inference_mode=True,
    )


def write(mix: Mix, folder: Path, tick: Callable[[float], None]) -> dict[str, float]:
    """Fill a folder with the adapter of this mix; `tick` hears the share done and may raise.

    Returns how far the result lies from the weighted sum, as a share of its length ("apart").
    """
    found = Adapters(tuple(one.adapter for one in mix.adapters))
    tensors: dict[str, torch.Tensor] = {}
    lost = whole = 0.0
    for place, (layer, a, b, pieces) in enumerate(found.mixed(mix)):
        tick(place / len(found.layers))
        for key, tensor in zip(found.key(layer), (a, b), strict=True):
            tensors[key] = tensor
        one, other = distance(pieces, a, b)
        lost, whole = lost + one, whole + other
    save_file(tensors, folder / adapter_files.WEIGHTS, metadata={"format": "pt"})
    config(mix, found).save_pretrained(str(folder))
    _beside(mix, folder)
    mixing.write(folder, mix)
    return {"apart": (lost / whole) ** 0.5 if whole else 0.0}


def _beside(mix: Mix, folder: Path) -> None:
    """Tokenizer and chat template of the adapter that counts most, the first of equals."""
    for file in adapter_files.belonging(Path(mixing.strongest(mix).adapter)):
        if file.name not in _ITS_OWN:
            shutil.copyfile(file, folder / file.name)
