"""Weights updated in the backward pass: each as soon as its gradient is there, which then goes.

There are never all gradients at once. Without clipping and with a step's rows in one go that is
the same, bit for bit, as an update behind the backward pass: no weight is read again once its
gradient is whole, and every optimizer here treats weights one by one. Torch's own way
(Tensor.register_post_accumulate_grad_hook), with one optimizer for all, so that states, schedule
and checkpoints are those of a usual run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


class EarlyUpdates:
    """Over the weights of one optimizer. `began` hears when the first of a step is updated."""

    def __init__(
        self,
        weights: Sequence[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        began: Callable[[], None],
    ) -> None:
        self._weights = weights
        self._optimizer = optimizer
        self._began = began
        self._norms: dict[nn.Parameter, torch.Tensor] = {}
        self.broken = False

    @contextmanager
    def during_backward(self) -> Iterator[None]:
        """Inside of it gradients are used up as they come."""
        self._norms, self.broken = {}, False
        hooks = [
            weight.register_post_accumulate_grad_hook(self._update) for weight in self._weights
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def norm(self) -> float:
        """That of all gradients of the last backward pass together."""
        found = [self._norms[weight] for weight in self._weights if weight in self._norms]
        return float(torch.linalg.vector_norm(torch.stack(found))) if found else 0.0

    def _update(self, weight: torch.Tensor) -> None:
        """The others have no gradient at this moment, and optimizers pass over those. From a
        gradient on that is no number nothing is updated any more."""
        assert isinstance(weight, nn.Parameter)
        assert weight.grad is not None
        norm = torch.linalg.vector_norm(weight.grad, dtype=torch.float32)
        self._norms[weight] = norm
        self.broken = self.broken or not bool(torch.isfinite(norm))
        if not self.broken:
            self._began()
            self._optimizer.step()
        weight.grad = None
