"""Cross-entropy that never holds all logits: at trained positions only, a chunk at a time."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

CHUNK_VALUES = 1 << 24
IGNORED = -100


class Split:
    """A causal language model taken apart into what makes hidden states and its head."""

    def __init__(self, decoder: nn.Module, head: nn.Module, vocabulary: int) -> None:
        self.decoder = decoder
        self.head = head
        self.chunk = max(16, CHUNK_VALUES // vocabulary)

    def loss_sum(self, labels: torch.Tensor, **inputs: torch.Tensor | None) -> torch.Tensor:
        """The summed loss in nats of all trained tokens. `labels` (rows, tokens) aren't shifted."""
        hidden = self.decoder(**inputs, use_cache=False).last_hidden_state
        targets = labels[:, 1:]
        trained = targets != IGNORED
        return chunked_loss_sum(self.head, hidden[:, :-1][trained], targets[trained], self.chunk)


def take_apart(model: nn.Module) -> Split | None:
    """The model's decoder and head, if its logits are just the head's of its hidden states.

    Some models scale or cap their logits; so it is tried on a few tokens instead of believed.
    None means that the model's own logits are to be used.
    """
    causal: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    head, decoder = causal.get_output_embeddings(), getattr(causal, "base_model", None)
    if head is None or decoder is None or decoder is causal:
        return None
    split = Split(decoder, head, causal.config.get_text_config().vocab_size)
    return split if _same_logits(causal, split) else None


def whole_loss_sum(
    model: nn.Module, labels: torch.Tensor, **inputs: torch.Tensor | None
) -> torch.Tensor:
    """The same from the model's own logits, for models that can't be taken apart."""
    logits = model(**inputs, use_cache=False).logits[:, :-1].float()
    return cross_entropy(
        logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum", ignore_index=IGNORED
    )


def chunked_loss_sum(
    head: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, chunk: int
) -> torch.Tensor:
    """Summed cross-entropy of `hidden` (tokens, width) under `head`, `chunk` tokens at a time.

    Logits are computed again in the backward pass instead of being kept.
    """
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
