"""Optimizers by the recipe's name, from torch, bitsandbytes and transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from studio.core.recipe import Optimizer, TrainingPart

_UNPAGED: dict[Optimizer, Optimizer] = {
    "paged_adamw": "adamw",
    "paged_adamw_8bit": "adamw_8bit",
}


def build(model: nn.Module, training: TrainingPart, rate: float) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable weights. Biases and norms never decay."""
    groups = _groups(model, training.weight_decay)
    match _kind(model, training.optimizer):
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, fused=True)
        case "adafactor":
            from transformers import Adafactor

            return Adafactor(groups, lr=rate, scale_parameter=False, relative_step=False)
    return _of_bitsandbytes(model, groups, training, rate)


@torch.no_grad()
def page_again(optimizer: torch.optim.Optimizer) -> None:
    """Put states that were loaded from a checkpoint back into paged memory.

    bitsandbytes' own loading leaves them in the card's, where a run that only fitted by paging
    has no room for them.
    """
    if not getattr(optimizer, "is_paged", False):
        return
    for weight, state in optimizer.state.items():
        for name in ("state1", "state2"):
            if weight.is_cuda and name in state:
                buffer = optimizer.get_state_buffer(weight, dtype=state[name].dtype)  # type: ignore[attr-defined]
                state[name] = buffer.copy_(state[name])


def _kind(model: nn.Module, name: Optimizer) -> Optimizer:
    """Paging moves states between card and memory; on a processor there is nothing to page."""
    on_card = any(weight.is_cuda for weight in model.parameters())
    return name if on_card else _UNPAGED.get(name, name)


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    matrices = [weight for weight in learnt if weight.ndim > 1]
    others = [weight for weight in learnt if weight.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _of_bitsandbytes(
    model: nn.Module, groups: list[dict[str, Any]], training: TrainingPart, rate: float
) -> torch.optim.Optimizer:
    import bitsandbytes
    from bitsandbytes.optim import GlobalOptimManager

    kinds = {
        "adamw_8bit": bitsandbytes.optim.AdamW8bit,
        "paged_adamw_8bit": bitsandbytes.optim.PagedAdamW8bit,
        "paged_adamw": bitsandbytes.optim.PagedAdamW32bit,
    }
    # Rare tokens' gradients are too uneven for 8-bit states, says bitsandbytes.
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.weight.requires_grad:
            GlobalOptimManager.get_instance().register_module_override(
                module, "weight", {"optim_bits": 32}
            )
    optimizer: torch.optim.Optimizer = kinds[_kind(model, training.optimizer)](groups, lr=rate)
    return optimizer
