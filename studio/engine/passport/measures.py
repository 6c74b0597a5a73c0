"""How far two models are apart at the same places, in nats."""

from __future__ import annotations

import torch

from studio.engine.runtimes import Told


def divergence(live: torch.Tensor, told: Told) -> torch.Tensor:
    """KL(live || told) at every place, never below 0 by rounding.

    Where only candidates are told, the rest of the vocabulary counts as one token: a lower bound.
    """
    if told.ids is None:
        width = min(live.shape[-1], told.logprobs.shape[-1])
        mine, other = live[:, :width], told.logprobs[:, :width]
        return (mine.exp() * (mine - other)).sum(-1).clamp_min(0.0)
    known = told.ids < live.shape[-1]
    ids = told.ids.clamp_max(live.shape[-1] - 1)
    mine = live.gather(-1, ids)
    parts = torch.where(known, mine.exp() * (mine - told.logprobs), 0.0)
    rest, other_rest = _rest(torch.where(known, mine, -torch.inf)), _rest(told.logprobs)
    return (parts.sum(-1) + rest * (rest.log() - other_rest.log())).clamp_min(0.0)


def behind(live: torch.Tensor, told: Told) -> torch.Tensor:
    """How much likelier than the export's choice the live model finds its own, at every place."""
    chosen = told.chosen.clamp_max(live.shape[-1] - 1)
    return live.amax(-1) - live.gather(-1, chosen[:, None])[:, 0]


def _rest(logprobs: torch.Tensor) -> torch.Tensor:
    """What is left of 1; never nothing, for a logarithm is taken of it."""
    return (1.0 - logprobs.exp().sum(-1)).clamp_min(1e-6)
