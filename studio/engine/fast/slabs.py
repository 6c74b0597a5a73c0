"""Memory for a layer's large tensors, apart from the heap.

Those kept for the backward pass live long, those made on the way to them don't. Side by side in
one heap they leave holes that fit nothing of the next batch, whose tensors are a little longer or
shorter; and where a tensor passed, small objects settle that live on, layer by layer: a third of
a step's memory. So the kept ones lie in large pieces, and the passing ones in some that are used
again and again.
"""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch

BYTES = 64 << 20
_ALIGNED = 64
_LEAST = 1 << 16
"""Bytes; what is smaller is the heap's own."""
_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if sys.platform != "win32" else {}


class Slab:
    """Bytes that tensors are cut from, one behind the other."""

    def __init__(self, size: int) -> None:
        self._storage = _memory(size).untyped_storage()
        self.size = size
        self.place = self._storage.data_ptr()
        self._used = 0
        self._ours = self._users()

    @property
    def free(self) -> bool:
        """Whether nothing that was cut from it is left."""
        return self._users() == self._ours

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor | None:
        """A tensor that holds anything; None where there is no room for it."""
        if self.free:
            self._used = 0
        size = prod(shape) * dtype.itemsize
        if self._used + size > self.size:
            return None
        # not a view of the whole: torch would take a change of one for a change of all
        tensor = torch.empty(0, dtype=dtype)
        strides = [prod(shape[place + 1 :]) for place in range(len(shape))]
        tensor.set_(self._storage, self._used // dtype.itemsize, shape, strides)
        self._used += -(-size // _ALIGNED) * _ALIGNED
        return tensor

    def _users(self) -> int:
        return int(torch._C._storage_Use_Count(self._storage._cdata))


def _memory(size: int) -> torch.Tensor:
    """The system's own: a heap would keep it, and holes in it, when it is let go of. Raises as
    torch does where there is too little."""
    try:
        return torch.frombuffer(mmap.mmap(-1, size, **_PRIVATE), dtype=torch.uint8)
    except OSError:
        return torch.empty(size, dtype=torch.uint8)


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


class Buffers(Slabs):
    """Slabs for one tensor each, as many as there ever are tensors at a time."""

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """A tensor that holds anything: in the smallest free slab that it fits in. A new one
        comes in place of the largest that is too small."""
        size = prod(shape) * dtype.itemsize
        with self._lock:
            free = [slab for slab in self._slabs if slab.free]
            chosen = min((slab for slab in free if slab.size >= size), key=_size, default=None)
            if chosen is None:
                if free:
                    self._slabs.remove(max(free, key=_size))
                chosen = Slab(_rounded(size))
                self._slabs.append(chosen)
            tensor = chosen.take(shape, dtype)
        assert tensor is not None
        return tensor


def _size(slab: Slab) -> int:
    return slab.size


def _rounded(size: int) -> int:
    """Up by at most a quarter, so that tensors of like sizes fit in."""
    step = max(_LEAST, 1 << size.bit_length() >> 3)
    return -(-size // step) * step


_kept, _passing = Slabs(), Buffers()
_on = True
_results_too = False


def clear() -> None:
    """Let go of all of them."""
    _kept.clear()
    _passing.clear()


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
    return _kept.take(shape, dtype)


def passing(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor for what is soon over; it holds anything."""
    if device.type != "cpu" or not _on or prod(shape) * dtype.itemsize < _LEAST:
        return torch.empty(shape, dtype=dtype, device=device)
    return _passing.take(shape, dtype)


def keep(tensor: torch.Tensor) -> torch.Tensor:
    """The same values where kept tensors lie: a copy, unless they are there already. Nothing is
    learnt through it."""
    tensor = tensor.detach()
    if tensor.device.type != "cpu" or not _on or _kept.has(tensor):
        return tensor
    return _kept.take(tensor.shape, tensor.dtype).copy_(tensor)


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
    return (empty if _results_too else passing)(shape, dtype, device)
