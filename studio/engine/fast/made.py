"""Tensors that need not be kept for the backward pass, because others make them again cheaply."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

_NAME = "_studio_made"


class Shared:
    """What was made again, for as long as somebody still needs it; `users` of them do."""

    def __init__(self) -> None:
        self.users = 0
        self._made: torch.Tensor | None = None

    def take(self, again: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The tensor for one of the users; made for the first, let go of with the last."""
        made = again() if self._made is None else self._made
        self.users -= 1
        self._made = made if self.users > 0 else None
        return made


class Made(NamedTuple):
    """How a tensor came to be: `again(*kept)` makes it once more, as it was in this version."""

    kept: tuple[torch.Tensor, ...]
    again: Callable[..., torch.Tensor]
    shared: Shared
    version: int


def mark(
    tensor: torch.Tensor, kept: tuple[torch.Tensor, ...], again: Callable[..., torch.Tensor]
) -> torch.Tensor:
    """The tensor, of which `origin` then says how it was made; where nothing is learnt from it,
    nobody will ask."""
    if torch.is_grad_enabled():
        kept = tuple(one.detach() for one in kept)
        setattr(tensor, _NAME, Made(kept, again, Shared(), tensor._version))
    return tensor


def origin(tensor: torch.Tensor) -> Made | None:
    """How it was made, where somebody said so and nobody wrote into it since."""
    found: Made | None = getattr(tensor, _NAME, None)
    return found if found is not None and found.version == tensor._version else None
