"""Bytes of real tensors: what a model and its optimizer hold, and what a step holds at its peak."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from studio.engine.fast import slabs

_MARK = "studio phase: "
_MEMORY = "[memory]"


def held(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of the memory behind these tensors, shared memory once."""
    found = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def frozen(model: nn.Module) -> Iterator[torch.Tensor]:
    """What isn't learnt: weights with the constants of their quantization, and buffers."""
    for weight in model.parameters():
        if not weight.requires_grad:
            yield weight
            yield from _constants(weight)
    yield from model.buffers()


def learnt(model: nn.Module) -> list[torch.Tensor]:
    """The weights that learn."""
    return [weight for weight in model.parameters() if weight.requires_grad]


def gradients(model: nn.Module) -> Iterator[torch.Tensor]:
    """The gradients that are there now."""
    return (weight.grad for weight in model.parameters() if weight.grad is not None)


def states(optimizer: Any) -> Iterator[torch.Tensor]:
    """What an optimizer keeps of each weight."""
    for state in optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, torch.Tensor))


class Timeline:
    """Bytes of all tensors by phase while `action` ran: at its beginning and at the most.

    Only what a processor's allocator gives out is counted, above `before`, the bytes that were
    held when it began.
    """

    def __init__(self, before: int) -> None:
        self.began: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self._before = before

    def run(self, action: Callable[[Callable[[str], None]], None]) -> None:
        """Run it; it says at the beginning of each phase which one that is."""
        recording = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
        with slabs.off(), recording as recorded:
            action(_mark)
        results = recorded.profiler.kineto_results if recorded.profiler else None
        if results is not None:
            self._read(results.events())

    def _read(self, events: Iterable[Any]) -> None:
        now, phase = self._before, ""
        for event in sorted(events, key=lambda event: event.start_ns()):
            name = event.name()
            if name == _MEMORY:
                now += event.nbytes()
            elif name.startswith(_MARK):
                phase = name.removeprefix(_MARK)
                self.began[phase] = max(self.began.get(phase, 0), now)
            if phase:
                self.most[phase] = max(self.most.get(phase, 0), now)


def _mark(phase: str) -> None:
    with record_function(_MARK + phase):
        pass


def _constants(weight: Any) -> Iterator[torch.Tensor]:
    """What bitsandbytes keeps beside a quantized weight."""
    state = getattr(weight, "quant_state", None)
    nested = getattr(state, "state2", None)
    found = [
        *(getattr(state, name, None) for name in ("absmax", "code", "offset")),
        *(getattr(nested, name, None) for name in ("absmax", "code")),
        getattr(weight, "SCB", None),
    ]
    yield from (value for value in found if isinstance(value, torch.Tensor))
