"""An adapter folded into weights of its own, so that it speaks as fast as the bare model.

The base's tensors are never written to: while a voice speaks its weights hang in their places in
the model, and then the base's own hang there again.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from torch import nn

from studio.core.errors import StudioError
from studio.engine import adapter_changes
from studio.engine.adapter_changes import Change, Parts
from studio.library import adapter_files
from studio.library.adapter_files import AdapterConfig
from studio.library.models.tensors import Tensor

_PIECE_VALUES = 1 << 19
"""Worked on at once: in 32 bits they stay in a processor's cache."""
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

    def has(self, name: str) -> bool:
        """Whether there is such a place, with a weight in it."""
        return name in self._base and not self.own(name).is_meta

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


class Source(Protocol):
    """An adapter as `Fold` reads it: its settings, what tensors there are, and these themselves."""

    name: str
    config: AdapterConfig
    keys: dict[str, Tensor]

    def opened(self) -> AbstractContextManager[Any]:
        """What gives the tensors by their names (`get_tensor`)."""


class OfFolder:
    """An adapter that lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.config = adapter_files.read_config(folder)
        self.keys = adapter_files.read_tensors(folder)
        self._file = folder / adapter_files.WEIGHTS

    def opened(self) -> AbstractContextManager[Any]:
        """Its open file."""
        file: AbstractContextManager[Any] = safe_open(self._file, "pt")
        return file


class Fold:
    """What an adapter makes of the base's weights, known before it is made.

    Raises Unfoldable where it changes what can't be folded: quantized weights, parameters inside
    layers.
    """

    def __init__(self, places: Places, source: Source, tied: bool) -> None:
        self._places, self._source = places, source
        self._changes = _changes(places, source, tied)
        self.bytes = sum(
            places.own(name).element_size() * _numbers(places.own(name), change, source.keys)
            for name, change in self._changes.items()
        )
        """Of the weights that `make` gives."""

    @torch.inference_mode(False)
    @torch.no_grad()
    def make(self, into: Weights | None = None) -> Weights:
        """The weights: sums in 32 bits, rounded once to the base's type. Raises Unfoldable where
        that type can't hold one.

        `into` are those of another adapter that changes the same tensors, which are overwritten:
        memory that is there already takes half the time.
        """
        made: Weights = {}
        with self._source.opened() as opened:
            for name, change in self._changes.items():
                weight = self._places.own(name)
                room = None if into is None else into[name]
                changed = _changed(weight, change, _On(opened, weight.device), room)
                if not math.isfinite(float(changed.sum(dtype=torch.float32))):
                    raise Unfoldable
                kept = nn.Parameter(changed, requires_grad=False)
                made |= dict.fromkeys(_affected(self._places, name, change, self._changes), kept)
        return made


class Unfoldable(Exception):
    """PEFT has to add this adapter at every layer."""


def _changes(places: Places, source: Source, tied: bool) -> dict[str, Change]:
    try:
        found = adapter_changes.changes_of(
            source.config, source.keys, places.shapes(), name=source.name, tied=tied,
            model_type=places.model_type,
        )  # fmt: skip
    except StudioError as error:
        raise Unfoldable from error  # PEFT may know what this is, or say better why it doesn't fit
    for name in found:
        if not places.has(name) or places.own(name).dtype not in _FLOATING:
            raise Unfoldable
    return found


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


def _changed(
    weight: torch.Tensor, change: Change, parts: Parts, room: torch.Tensor | None
) -> torch.Tensor:
    if not _is_plain(change):
        found = change.apply(weight.to(torch.float32, copy=True), parts).to(weight.dtype)
        return found if room is None else room.data.copy_(found)
    made = torch.empty_like(weight) if room is None else room.data
    rows = max(1, _PIECE_VALUES // max(1, weight.shape[1]))
    a, b = parts.get_tensor(change.a), parts.get_tensor(change.b)
    for begin in range(0, weight.shape[0], rows):
        piece = slice(begin, begin + rows)
        summed = weight[piece].to(torch.float32, copy=True)
        made[piece] = summed.addmm_(b[piece], a, alpha=change.scale)
    return made


def _is_plain(change: Change) -> bool:
    """Whether scale x B @ A is added, and that is all."""
    others = change.whole or change.magnitude or change.bias or change.rows
    return bool(change.a) and not (others or change.flipped)


def _numbers(weight: torch.Tensor, change: Change, keys: Mapping[str, Tensor]) -> int:
    return keys[change.whole].numbers if change.whole else weight.numel()


class _On:
    """An adapter's open tensors, as they come on a device."""

    def __init__(self, file: Any, device: torch.device) -> None:
        self._file, self._device = file, device
        self._known: dict[str, torch.Tensor] = {}

    def get_tensor(self, name: str) -> torch.Tensor:
        """One of its tensors by name; asked for again with each piece of a weight."""
        if name not in self._known:
            self._known[name] = self._file.get_tensor(name).to(self._device, torch.float32)
        return self._known[name]

    def get_slice(self, name: str) -> torch.Tensor:
        """The same, of which rows can be taken."""
        return self.get_tensor(name)
