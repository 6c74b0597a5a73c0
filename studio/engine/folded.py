"""An adapter folded into weights of its own, so that it speaks as fast as the bare model.

The base's tensors are never written to: while a voice speaks its weights hang in their places in
the model, and then the base's own hang there again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from studio.core.errors import StudioError
from studio.engine import adapter_changes
from studio.engine.adapter_changes import Change, Parts
from studio.library import adapter_files
from studio.library.models.tensors import Tensor

_PIECE_VALUES = 1 << 24
_FLOATING = (torch.float32, torch.bfloat16, torch.float16)

Weights = dict[str, torch.Tensor]
"""By the names of the places that they hang in."""


class Places:
    """Where the weights of a model hang, by name, as they were before anything was put on it."""

    def __init__(self, model: nn.Module) -> None:
        self.model_type = str(getattr(getattr(model, "config", None), "model_type", ""))
        self._owners: dict[str, tuple[nn.Module, str]] = {}
        for path, module in model.named_modules():
            for name, weight in module._parameters.items():
                if weight is not None:
                    self._owners[f"{path}.{name}" if path else name] = (module, name)
        self._base = {name: owner._parameters[part] for name, (owner, part) in self._items()}

    def own(self, name: str) -> torch.Tensor:
        """The base's weight of this place."""
        weight = self._base[name]
        assert weight is not None
        return weight

    def sharing(self, name: str) -> list[str]:
        """All places where this weight hangs: two where the head is the embeddings."""
        return [other for other in self._base if self._base[other] is self._base[name]]

    def shapes(self) -> dict[str, Tensor]:
        """Each weight once, as a file of the model would tell it."""
        seen: dict[int, str] = {}
        for name, weight in self._base.items():
            seen.setdefault(id(weight), name)
        return {
            name: Tensor(name, "F32", tuple(self.own(name).shape), Path(), 0, 0)
            for name in seen.values()
        }

    @contextlib.contextmanager
    def holding(self, weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """Within the block these hang in their places, and the base's own everywhere else."""
        try:
            for name, weight in weights.items():
                self._hang(name, weight)
            yield
        finally:
            for name in weights:
                self._hang(name, self._base[name])

    def _hang(self, name: str, weight: Any) -> None:
        owner, part = self._owners[name]
        owner._parameters[part] = weight

    def _items(self) -> Iterator[tuple[str, tuple[nn.Module, str]]]:
        return iter(self._owners.items())


@torch.inference_mode(False)
@torch.no_grad()
def fold(places: Places, adapter: Path, tied: bool) -> Weights | None:
    """The weights that the adapter makes of the base's: sums in 32 bits, rounded once to the
    base's type. None where it changes what can't be folded: quantized weights, parameters inside
    layers, sums that the type can't hold."""
    todo = _changes(places, adapter, tied)
    if todo is None:
        return None
    made: Weights = {}
    with safe_open(adapter / adapter_files.WEIGHTS, "pt") as file:
        for name, change in todo.items():
            weight = places.own(name)
            changed = _changed(weight, change, _On(file, weight.device))
            if not torch.isfinite(changed).all():
                return None
            kept = nn.Parameter(changed, requires_grad=False)
            made |= dict.fromkeys(_affected(places, name, change, todo), kept)
    return made


def size(places: Places, adapter: Path, tied: bool) -> int | None:
    """Bytes of the weights that `fold` would make; None where it wouldn't."""
    todo = _changes(places, adapter, tied)
    if todo is None:
        return None
    keys = adapter_files.read_tensors(adapter)
    return sum(
        places.own(name).element_size() * _numbers(places.own(name), change, keys)
        for name, change in todo.items()
    )


def _changes(places: Places, adapter: Path, tied: bool) -> dict[str, Change] | None:
    try:
        found = adapter_changes.changes(
            adapter, places.shapes(), tied=tied, model_type=places.model_type
        )
    except StudioError:
        return None  # PEFT may know what this is, or say better why it doesn't fit
    fine = all(
        name in places._base
        and places.own(name).dtype in _FLOATING
        and not places.own(name).is_meta
        for name in found
    )
    return found if fine else None


def _affected(
    places: Places, name: str, change: Change, all_changes: Mapping[str, Change]
) -> list[str]:
    """The places that get a changed weight. Trained rows of tokens stay shared with the head, as
    PEFT has them; any other change parts the two."""
    if change.rows and not (change.whole or change.a):
        return [
            other for other in places.sharing(name) if other == name or other not in all_changes
        ]
    return [name]


def _changed(weight: torch.Tensor, change: Change, parts: Parts) -> torch.Tensor:
    if change.whole or not change.by_rows or weight.dim() != 2:
        return change.apply(weight.to(torch.float32, copy=True), parts).to(weight.dtype)
    made = torch.empty_like(weight)
    rows = max(1, _PIECE_VALUES // max(1, weight.shape[1]))
    for begin in range(0, weight.shape[0], rows):
        piece = slice(begin, min(weight.shape[0], begin + rows))
        summed = change.apply(weight[piece].to(torch.float32, copy=True), parts, piece)
        made[piece] = summed.to(weight.dtype)
    return made


def _numbers(weight: torch.Tensor, change: Change, keys: Mapping[str, Tensor]) -> int:
    return keys[change.whole].numbers if change.whole else weight.numel()


class _On:
    """An adapter's open file whose tensors come on a device."""

    def __init__(self, file: Any, device: torch.device) -> None:
        self._file, self._device = file, device

    def get_tensor(self, name: str) -> torch.Tensor:
        """One of its tensors by name."""
        found: torch.Tensor = self._file.get_tensor(name)
        return found.to(self._device)

    def get_slice(self, name: str) -> Any:
        """The same, of which rows can be taken."""
        return self.get_tensor(name)
