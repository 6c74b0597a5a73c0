"""transformers as a runtime: a model folder as anybody's own script loads it."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from studio.engine.generate import greedy
from studio.engine.load import load_model, load_tokenizer
from studio.engine.precision import best_device
from studio.engine.runtimes import Messages, Row, Tick, Told

BATCH_TOKENS = 1_024


class OfTransformers:
    """A loaded model, or PEFT's around one, with its tokenizer.

    Stops are what `generate` would end at by itself: those of the generation settings. `places` in
    rows are read in batches, and logits are made for them alone where the model can.
    """

    name = "transformers"
    candidates = 0

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model, tokenizer

    @classmethod
    def of_folder(cls, folder: Path, dtype: torch.dtype) -> OfTransformers:
        """A model folder as it lies there. Raises StudioError where it can't be loaded."""
        return cls(load_model(folder, dtype, device=best_device()), load_tokenizer(folder))

    def render(self, messages: Messages) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        )

    def encode(self, text: str) -> list[int]:
        return [int(token) for token in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    @property
    def bos(self) -> int | None:
        found = self.tokenizer.bos_token_id
        return int(found) if found is not None else None

    @property
    def stops(self) -> frozenset[int]:
        named = self.model.generation_config.eos_token_id
        found = named if isinstance(named, list | tuple) else [named]
        return frozenset(int(token) for token in found if token is not None)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def greedy(self, prompts: Sequence[Sequence[int]], most: int, tick: Tick) -> list[list[int]]:
        return greedy(self.model, prompts, self.stops, most, tick)

    def read(self, rows: Sequence[Row], tick: Tick) -> Iterator[Told]:
        for batch in _batches(rows):
            tick()
            yield from _read(self.model, batch)

    def close(self) -> None:
        self.model = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@torch.inference_mode()
def _read(model: Any, rows: Sequence[Row]) -> list[Told]:
    """One pass over a batch padded on the right, where no row's tokens see the padding."""
    ids = torch.zeros(len(rows), max(len(row.ids) for row in rows), dtype=torch.long)
    for line, row in enumerate(rows):
        ids[line, : len(row.ids)] = torch.tensor(row.ids)
    wanted = sorted({place for row in rows for place in row.places})
    few = _keeps_some(model)
    options = {"logits_to_keep": torch.tensor(wanted, device=model.device)} if few else {}
    logits = model(input_ids=ids.to(model.device), use_cache=False, **options).logits
    index = {place: i for i, place in enumerate(wanted)} if few else None
    return [_told(logits[line], row, index) for line, row in enumerate(rows)]


def _told(logits: torch.Tensor, row: Row, index: dict[int, int] | None) -> Told:
    places = [index[place] if index else place for place in row.places]
    found = torch.log_softmax(logits[places].float(), dim=-1).cpu()
    return Told(found, found.gather(-1, torch.tensor(row.targets)[:, None])[:, 0])


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in their order, as many at once as keep the padded batch small."""
    batch: list[Row] = []
    for row in rows:
        longest = max([len(row.ids), *(len(other.ids) for other in batch)])
        if batch and longest * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _keeps_some(model: Any) -> bool:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(base.forward).parameters
