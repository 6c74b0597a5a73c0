"""Predicting the next token: batches of rows, their loss, and answers to prompts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jinja2 import TemplateError
from torch import nn
from transformers import GenerationConfig, PreTrainedTokenizerBase

from studio.engine import loss
from studio.engine.data import Row
from studio.engine.fast import attention

PREVIEW_TOKENS = 96


@dataclass(frozen=True)
class Batch:
    """Rows that go through the model together, as tensors of shape (rows, tokens).

    Padded rows need no attention mask: padding stands behind the row, where no causal model
    looks, and is never learnt. A packed batch is one line of rows whose positions begin anew at
    each; without a mask and without a cache that is what keeps them apart.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    position_ids: torch.Tensor | None
    bounds: torch.Tensor | None
    tokens: int
    trained: int


class CausalLM:
    """Causal language modelling with one model. `system` is what every prompt is told first."""

    def __init__(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, system: str = ""
    ) -> None:
        self.model: Any = model
        self.tokenizer = tokenizer
        self.system = system
        self.split = loss.take_apart(model)
        self.pad = tokenizer.pad_token_id or 0
        self.by_rows = attention.by_rows(model)
        self.keeping: loss.Keeping = contextlib.nullcontext

    def batches(
        self, rows: Sequence[Row], *, tokens: int, size: int = 0, packed: bool = False
    ) -> list[Batch]:
        """The rows as few batches as fit: `size` rows each, or at most `tokens` tokens with
        padding (a longer row goes alone). Rows of like length meet, the longest first."""
        sized = sorted(rows, key=len, reverse=True)
        if packed:
            return [pack(group) for group in _bins(sized, tokens)]
        return [pad(group, self.pad) for group in _groups(sized, tokens, size)]

    def loss_sum(self, batch: Batch) -> torch.Tensor:
        """Summed loss in nats of the batch's trained tokens, on the model's device."""
        device = next(self.model.parameters()).device
        labels, inputs = _on(device, batch.labels), {"input_ids": _on(device, batch.input_ids)}
        if batch.position_ids is not None:
            inputs["position_ids"] = _on(device, batch.position_ids)
            inputs |= self._bounds(batch, device)
        if self.split is not None:
            return self.split.loss_sum(labels, self.keeping, **inputs)
        return loss.whole_loss_sum(self.model, labels, self.keeping, **inputs)

    def _bounds(self, batch: Batch, device: torch.device) -> dict[str, Any]:
        """Where packed rows begin and end, as attention by rows wants to be told."""
        if not self.by_rows or batch.bounds is None:
            return {}
        bounds, longest = _on(device, batch.bounds), int(batch.bounds.diff().max())
        return {
            "cu_seq_lens_q": bounds,
            "cu_seq_lens_k": bounds,
            "max_length_q": longest,
            "max_length_k": longest,
        }

    @torch.no_grad()
    def keeps_packed_rows_apart(self) -> bool:
        """Whether this model's attention respects packed rows: tried by changing the row before.

        The masked scores of the other row weigh exactly nothing, so this holds in any precision;
        dropout, which differs from one try to the next, is off meanwhile.
        """
        training = self.model.training
        self.model.eval()
        row = Row(np.arange(12, 22), np.arange(12, 22))
        before = [np.arange(4, 12), np.arange(11, 3, -1)]
        unlearnt = np.full(8, loss.IGNORED)
        try:
            one, other = (self.loss_sum(pack([Row(ids, unlearnt), row])) for ids in before)
        finally:
            self.model.train(training)
        return bool(torch.allclose(one, other, rtol=1e-5))

    @torch.inference_mode()
    def preview(self, prompt: str) -> str:
        """What the model answers to a prompt, always its likeliest words."""
        inputs = self.tokenizer(self._asked(prompt), return_tensors="pt", add_special_tokens=False)
        inputs = inputs.to(next(self.model.parameters()).device)
        settings = GenerationConfig(
            max_new_tokens=PREVIEW_TOKENS,
            do_sample=False,
            use_cache=True,
            pad_token_id=self.pad,
            eos_token_id=self.tokenizer.eos_token_id,
        )
        answer = self.model.generate(**inputs, generation_config=settings)
        shown = answer[0, inputs["input_ids"].shape[1] :]
        return str(self.tokenizer.decode(shown, skip_special_tokens=True)).strip()

    def _asked(self, prompt: str) -> str:
        """A prompt as rows are written: a template that refuses the system message has the user
        say it."""
        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        if self.system:
            told = [{"role": "system", "content": self.system}]
            with contextlib.suppress(TemplateError):
                chat = [*told, {"role": "user", "content": prompt}]
                return str(self.tokenizer.apply_chat_template(chat, **options))
            prompt = f"{self.system}\n\n{prompt}"
        chat = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(chat, **options))


def pad(rows: Sequence[Row], pad_id: int) -> Batch:
    """Rows side by side, each filled up behind to the longest."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    labels = np.full((len(rows), width), loss.IGNORED, dtype=np.int64)
    for line, row in enumerate(rows):
        ids[line, : len(row)] = row.input_ids
        labels[line, : len(row)] = row.labels
    return _batch(ids, labels, None, None, rows)


def pack(rows: Sequence[Row]) -> Batch:
    """Rows one behind the other; the first token of each is never predicted from the row before."""
    ids = np.concatenate([row.input_ids for row in rows])[None]
    labels = np.concatenate([row.labels for row in rows])[None]
    bounds = np.cumsum([0, *[len(row) for row in rows]], dtype=np.int32)
    labels[0, bounds[:-1]] = loss.IGNORED
    positions = torch.from_numpy(np.concatenate([np.arange(len(row)) for row in rows])[None])
    return _batch(ids, labels, positions, torch.from_numpy(bounds), rows)


def _on(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
    """A card takes it from page-locked memory without the processor's waiting (unverified)."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _batch(
    ids: np.ndarray,
    labels: np.ndarray,
    positions: torch.Tensor | None,
    bounds: torch.Tensor | None,
    rows: Sequence[Row],
) -> Batch:
    return Batch(
        input_ids=torch.from_numpy(ids),
        labels=torch.from_numpy(labels),
        position_ids=positions,
        bounds=bounds,
        tokens=sum(len(row) for row in rows),
        trained=int((labels[:, 1:] != loss.IGNORED).sum()),
    )


def _groups(rows: Iterable[Row], tokens: int, size: int) -> list[list[Row]]:
    groups: list[list[Row]] = []
    for row in rows:
        last = groups[-1] if groups else None
        full = last is None or (
            len(last) == size if size else (len(last) + 1) * len(last[0]) > tokens
        )
        if full or last is None:
            groups.append([row])
        else:
            last.append(row)
    return groups


def _bins(rows: Sequence[Row], tokens: int) -> list[list[Row]]:
    """As few as first fit needs, the longest first; of like size where that works out, because the
    largest one says how much memory it takes."""
    fitted = _first_fit(rows, tokens)
    bins: list[list[Row]] = [[] for _ in fitted]
    sizes = [0] * len(fitted)
    for row in rows:
        place = sizes.index(min(sizes))
        bins[place].append(row)
        sizes[place] += len(row)
    return bins if max(sizes, default=0) <= tokens else fitted


def _first_fit(rows: Sequence[Row], tokens: int) -> list[list[Row]]:
    bins: list[list[Row]] = []
    room: list[int] = []
    for row in rows:
        place = next((i for i, left in enumerate(room) if left >= len(row)), None)
        if place is None:
            bins.append([row])
            room.append(tokens - len(row))
        else:
            bins[place].append(row)
            room[place] -= len(row)
    return bins
