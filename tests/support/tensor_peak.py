"""The true peak of tensor bytes: every storage that an operation makes, from birth to death."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from studio.engine.fast import slabs


class TensorPeak(TorchDispatchMode):
    """Bytes of live tensors inside a `with`: each storage once, however many views it has.

    Sees what operations hand out, backward passes and recomputation included (autograd runs a
    processor's backward in the thread that asked for it). Memory that a kernel takes and gives
    back before it returns is no tensor and isn't seen. `now` and `peak` are bytes; `peaks` has
    the peak of each part begun with `mark`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self.peaks: dict[str, int] = {}
        self._mark = ""
        self._alive: dict[int, tuple[weakref.ref[torch.UntypedStorage], int]] = {}

    def __enter__(self) -> Self:
        """Kept tensors have memory of their own meanwhile, and are born and die alone."""
        self._apart = slabs.off()
        self._apart.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._apart.__exit__(*raised)

    def hold(self, tensors: Iterable[torch.Tensor]) -> None:
        """Count tensors that were there before."""
        for tensor in tensors:
            self._count(tensor)

    def mark(self, name: str) -> None:
        """From here on the peak belongs to this part too."""
        self._mark = name
        self._raise_peak()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do the operation, count what it hands out."""
        made = func(*args, **(kwargs or {}))
        for value in tree_iter(made):
            if isinstance(value, torch.Tensor):
                self._count(value)
        return made

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        known = self._alive.get(key)
        if known is not None and known[0]() is not None:
            if known[1] != size:  # resized in place
                self.now += size - known[1]
                self._alive[key] = (known[0], size)
                self._raise_peak()
            return
        self._alive[key] = (weakref.ref(storage, lambda _: self._forget(key)), size)
        self.now += size
        self._raise_peak()

    def _forget(self, key: int) -> None:
        self.now -= self._alive.pop(key)[1]

    def _raise_peak(self) -> None:
        self.peak = max(self.peak, self.now)
        if self._mark:
            self.peaks[self._mark] = max(self.peaks.get(self._mark, 0), self.now)
