"""What a forward pass leaves for its backward pass, kept in system memory instead of a card's.

A thin use of torch's saved_tensors_hooks (torch/autograd/graph.py). A storage goes once, however
many operations look at it, and comes back as it lay, so that nothing is computed otherwise. The
copies are queued behind the card's own work, from and to page-locked memory, so neither side waits
for more than them. On a card this is unverified: none was at hand.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from studio.core.sizing.offloading import LEAST
from studio.engine.fast import slabs
from studio.engine.loss import Keeping

NOTHING_SAVED = (
    "Activations stay where they are: without a graphics card they lie in system memory already, "
    "so moving them there saves nothing."
)


def keeping(model: nn.Module, least: int = LEAST, everywhere: bool = False) -> Keeping:
    """Makes the context in which the model goes forward. What is smaller than `least` bytes stays,
    and so do weights; `everywhere` moves what lies in system memory too."""
    weights = frozenset(_key(one) for one in (*model.parameters(), *model.buffers()))

    def moves(storage: torch.UntypedStorage) -> bool:
        there = storage.device.type != "cpu" or everywhere
        return there and storage.nbytes() >= least and storage._cdata not in weights

    return lambda: _Moving(moves)


def to_system(values: torch.Tensor) -> Any:
    """A copy in system memory, page-locked where it comes from a card."""
    host = torch.empty_like(values, device="cpu", pin_memory=values.is_cuda)
    return host.copy_(values, non_blocking=values.is_cuda)


def to_device(kept: Any, device: torch.device) -> torch.Tensor:
    """It back on the device."""
    values = torch.empty_like(kept, device=device)
    return values.copy_(kept, non_blocking=device.type == "cuda")


class _Away:
    """A storage's bytes in system memory; while something uses them on the device, those too."""

    def __init__(self, storage: torch.UntypedStorage) -> None:
        self.device = storage.device
        self._kept = to_system(_bytes_of(storage))
        self._back: weakref.ref[torch.UntypedStorage] | None = None

    def storage(self) -> torch.UntypedStorage:
        """The bytes on the device, as long as somebody holds them."""
        storage = self._back() if self._back else None
        if storage is None:
            storage = to_device(self._kept, self.device).untyped_storage()
            self._back = weakref.ref(storage)
        return storage


@dataclass(frozen=True)
class _View:
    """A tensor that was kept: where it lies in a storage."""

    away: _Away
    dtype: torch.dtype
    size: torch.Size
    stride: tuple[int, ...]
    offset: int

    def tensor(self) -> torch.Tensor:
        """It again, on its device."""
        empty = torch.empty(0, dtype=self.dtype, device=self.away.device)
        return empty.set_(self.away.storage(), self.offset, self.size, self.stride)


class _Moving(saved_tensors_hooks):
    """One forward pass. What moved is known by its storage as long as that lives."""

    def __init__(self, moves: Callable[[torch.UntypedStorage], bool]) -> None:
        self._moves = moves
        self._known: dict[int, tuple[weakref.ref[torch.UntypedStorage], _Away]] = {}
        self._apart = slabs.off()
        super().__init__(self._pack, _unpack)

    def __enter__(self) -> None:
        self._apart.__enter__()  # a storage goes whole, so each is to be one tensor's
        super().__enter__()

    def __exit__(self, *about: Any) -> None:
        self._known.clear()  # from now on the graph alone holds them
        super().__exit__(*about)
        self._apart.__exit__(*about)

    def _pack(self, tensor: torch.Tensor) -> Any:
        if tensor.layout != torch.strided or not self._moves(tensor.untyped_storage()):
            return tensor
        away = self._away(tensor.untyped_storage())
        size, stride, offset = tensor.size(), tensor.stride(), tensor.storage_offset()
        return _View(away, tensor.dtype, size, stride, int(offset))

    def _away(self, storage: torch.UntypedStorage) -> _Away:
        known = self._known.get(storage._cdata)
        if known is None or known[0]() is None:
            known = weakref.ref(storage), _Away(storage)
            self._known[storage._cdata] = known
        return known[1]


def _unpack(kept: Any) -> torch.Tensor:
    tensor: torch.Tensor = kept.tensor() if isinstance(kept, _View) else kept
    return tensor


def _bytes_of(storage: torch.UntypedStorage) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _key(tensor: torch.Tensor) -> int:
    key: int = tensor.untyped_storage()._cdata
    return key
