"""Memory for what the backward pass needs, in large pieces of its own.

Kept tensors live long, those made on the way to them don't. Side by side in one heap they leave
holes that fit nothing of the next batch, whose tensors are a little longer or shorter: a third of
a step's memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch

BYTES = 64 << 20
_ALIGNED = 64


class Slab:
    """Bytes that tensors are cut from, one behind the other."""

    def __init__(self, size: int) -> None:
        self._storage = torch.empty(size, dtype=torch.uint8).untyped_storage()
        self.place = self._storage.data_ptr()
        self._used = 0
        self._ours = self._users()

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor | None:
        """A tensor that holds anything; None where there is no room for it."""
        if self._users() == self._ours:
            self._used = 0
        size = prod(shape) * dtype.itemsize
        if self._used + size > self._storage.nbytes():
            return None
        # not a view of the whole: torch would take a change of one for a change of all
        tensor = torch.empty(0, dtype=dtype)
        strides = [prod(shape[place + 1 :]) for place in range(len(shape))]
        tensor.set_(self._storage, self._used // dtype.itemsize, shape, strides)
        self._used += -(-size // _ALIGNED) * _ALIGNED
        return tensor

    def _users(self) -> int:
        return int(torch._C._storage_Use_Count(self._storage._cdata))


class Slabs:
    """As many of them as it takes, made when needed and used again and again."""

    def __init__(self) -> None:
        self._slabs: list[Slab] = []
        self._lock = threading.Lock()

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """A tensor that holds anything."""
        with self._lock:
            for slab in self._slabs:
                if (tensor := slab.take(shape, dtype)) is not None:
                    return tensor
            self._slabs.append(Slab(max(BYTES, prod(shape) * dtype.itemsize)))
            tensor = self._slabs[-1].take(shape, dtype)
        assert tensor is not None
        return tensor

    def has(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor lies in one of them."""
        place = tensor.untyped_storage().data_ptr()
        return any(slab.place == place for slab in self._slabs)

    def clear(self) -> None:
        """Let go of all; what still lies in one keeps it."""
        with self._lock:
            self._slabs.clear()


_slabs = Slabs()
_on = True
_results_too = False
clear = _slabs.clear


@contextmanager
def off() -> Iterator[None]:
    """Inside of it each tensor has memory of its own, so that it can be counted."""
    global _on
    before, _on = _on, False
    try:
        yield
    finally:
        _on = before


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor for what is kept until the backward pass; it holds anything."""
    if device.type != "cpu" or not _on:
        return torch.empty(shape, dtype=dtype, device=device)
    return _slabs.take(shape, dtype)


def keep(tensor: torch.Tensor) -> torch.Tensor:
    """The same values where kept tensors lie: a copy, unless they are there already. Nothing is
    learnt through it."""
    tensor = tensor.detach()
    if tensor.device.type != "cpu" or not _on or _slabs.has(tensor):
        return tensor
    return _slabs.take(tensor.shape, tensor.dtype).copy_(tensor)


@contextmanager
def results_kept() -> Iterator[None]:
    """Inside of it layers are told that what they return will be kept."""
    global _results_too
    before, _results_too = _results_too, torch.is_grad_enabled()
    try:
        yield
    finally:
        _results_too = before


def result(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor for what a layer returns; it holds anything."""
    if _results_too:
        return empty(shape, dtype, device)
    return torch.empty(shape, dtype=dtype, device=device)
