"""Cross-entropy that never holds all logits: at trained positions only, a chunk at a time.

A head that doesn't learn gives the gradient of its input in the forward pass already, so that
its logits are made once; one that learns makes them again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from studio.engine.fast import slabs
from studio.engine.fast.adapter import compute_dtype

# Logits at a time: what keeps a card or a frozen head's products busy; on a processor fewer where
# they come again in float32. Shares are made in slices there that its caches hold.
LARGE_CHUNK_VALUES, CHUNK_VALUES = 1 << 24, 1 << 23
SLICE_VALUES = 1 << 21
IGNORED = -100
Keeping = Callable[[], AbstractContextManager[object]]
"""Makes a context that decides where the forward pass keeps what the backward pass needs."""


class Split:
    """A causal language model taken apart into what makes hidden states and its head.

    `ahead` lets a frozen head's gradient be made in the forward pass.
    """

    def __init__(self, decoder: nn.Module, head: nn.Module, vocabulary: int) -> None:
        self.decoder = decoder
        self.head = head
        self.ahead = True
        several = next(head.parameters()).is_cuda or _learns_nothing(head)
        self.chunk = max(16, (LARGE_CHUNK_VALUES if several else CHUNK_VALUES) // vocabulary)

    def loss_sum(
        self, labels: torch.Tensor, keeping: Keeping = nullcontext, **inputs: torch.Tensor | None
    ) -> torch.Tensor:
        """The summed loss in nats of all trained tokens. `labels` (rows, tokens) aren't shifted;
        hidden states are made within `keeping`."""
        with keeping():
            hidden = self.decoder(**inputs, use_cache=False).last_hidden_state
        targets = labels[:, 1:]
        trained = targets != IGNORED
        return chunked_loss_sum(
            self.head, hidden[:, :-1][trained], targets[trained], self.chunk, self.ahead
        )


def take_apart(model: nn.Module) -> Split | None:
    """The model's decoder and head, if its logits are just the head's of its hidden states.

    Some models scale or cap their logits; so it is tried on a few tokens instead of believed.
    None means that the model's own logits are to be used.
    """
    causal: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    head, decoder = causal.get_output_embeddings(), getattr(causal, "base_model", None)
    if head is None or decoder is None or decoder is causal:
        return None
    # Near zero a cap changes nothing, so that trying might not show it.
    if getattr(causal.config.get_text_config(), "final_logit_softcapping", None):
        return None
    split = Split(decoder, head, causal.config.get_text_config().vocab_size)
    return split if _same_logits(causal, split) else None


def whole_loss_sum(
    model: nn.Module,
    labels: torch.Tensor,
    keeping: Keeping = nullcontext,
    **inputs: torch.Tensor | None,
) -> torch.Tensor:
    """The same from the model's own logits, for models that can't be taken apart."""
    with keeping():
        logits = model(**inputs, use_cache=False).logits
    logits = logits[:, :-1].float()
    return cross_entropy(
        logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum", ignore_index=IGNORED
    )


def chunked_loss_sum(
    head: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, chunk: int, ahead: bool = True
) -> torch.Tensor:
    """Summed cross-entropy of `hidden` (tokens, width) under `head`, `chunk` tokens at a time.

    With `ahead` a frozen head's logits are made once; others are computed again in the backward
    pass. Neither are kept.
    """
    if ahead and hidden.shape[0] and _frozen(head, hidden):
        summed: torch.Tensor = _FrozenHead.apply(hidden, head, targets, chunk)  # type: ignore[no-untyped-call]
        return summed
    total = torch.zeros((), dtype=torch.float32, device=hidden.device)
    for start in range(0, hidden.shape[0], chunk):
        piece, wanted = hidden[start : start + chunk], targets[start : start + chunk]
        if torch.is_grad_enabled():
            part = checkpoint(
                _loss_sum, head, piece, wanted, use_reentrant=False, preserve_rng_state=False
            )
        else:
            part = _loss_sum(head, piece, wanted)
        total = total + part
    # Without a trained token the sum still belongs to the graph, so that backward() is legal.
    return total if hidden.shape[0] else hidden.sum() * 0.0


def _frozen(head: nn.Module, hidden: torch.Tensor) -> bool:
    """Whether the gradient may be made ahead of the backward pass. In float16 it may not: only
    there is it known by how much the loss is scaled, so that small values survive."""
    return _learns_nothing(head) and compute_dtype(hidden) != torch.float16


def _learns_nothing(head: nn.Module) -> bool:
    plain = type(head) is nn.Linear and head.bias is None
    return plain and not head.weight.requires_grad


class _FrozenHead(torch.autograd.Function):
    """Summed cross-entropy under a linear head, and its gradient by `hidden`, in one pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, head: nn.Linear, targets: torch.Tensor, chunk: int
    ) -> torch.Tensor:
        dtype, learnt = compute_dtype(hidden), ctx.needs_input_grad[0]
        weight, rows = head.weight.to(dtype), hidden.to(dtype)
        room = min(chunk, len(rows)), weight.shape[0]
        wide = room[0] if rows.is_cuda else min(room[0], max(16, SLICE_VALUES // room[1]))
        logits = slabs.empty(room, dtype, rows.device)
        shares = slabs.empty((wide, room[1]), torch.float32, rows.device)
        gradient = torch.empty_like(rows) if learnt else None
        total = torch.zeros((), dtype=torch.float32, device=rows.device)
        for start in range(0, len(rows), chunk):
            piece, wanted = rows[start : start + chunk], targets[start : start + chunk]
            made = logits[: len(piece)]
            torch.mm(piece, weight.t(), out=made)
            for left, targeted in zip(made.split(wide), wanted.split(wide), strict=True):
                share = shares[: len(left)]
                torch.softmax(share.copy_(left), -1, out=share)
                total += _missed(left, share, targeted)
                if gradient is not None:
                    share[torch.arange(len(left), device=rows.device), targeted] -= 1
                    left.copy_(share)
            if gradient is not None:
                torch.mm(made, weight, out=gradient[start : start + chunk])
        ctx.save_for_backward(gradient)
        ctx.dtype = hidden.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return (gradient * gradients[0]).to(ctx.dtype), None, None, None


def _missed(logits: torch.Tensor, shares: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The summed loss of a chunk; a target's share too small to be a number is made up for."""
    got = shares.gather(-1, targets[:, None])[:, 0]
    loss = -got.log()
    if bool((got == 0).any()):
        lost = got == 0
        rows = logits[lost].float()
        loss[lost] = rows.logsumexp(-1) - rows.gather(-1, targets[lost][:, None])[:, 0]
    return loss.sum()


def _loss_sum(head: nn.Module, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return cross_entropy(head(hidden).float(), targets, reduction="sum")


@torch.no_grad()
def _same_logits(causal: Any, split: Split) -> bool:
    training, device = causal.training, next(causal.parameters()).device
    causal.eval()
    try:
        probe = torch.arange(4, 12, device=device)[None]
        wanted = causal(input_ids=probe, use_cache=False).logits
        got = split.head(split.decoder(input_ids=probe, use_cache=False).last_hidden_state)
    except (AttributeError, RuntimeError, TypeError):
        return False
    finally:
        causal.train(training)
    return wanted.shape == got.shape and torch.allclose(wanted.float(), got.float(), atol=1e-3)
