"""What a voice has read so far is kept between turns, so that only what is new is read again."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

PIECE = 512
"""Tokens of a prompt that are read at once: between them a request can be stopped."""

MOST = 6
"""How many are kept: four columns, and a branch or two that somebody comes back to."""


class Broken(Exception):
    """Reading was stopped in between."""


class Prefix:
    """Tokens that one voice has read, and the keys and values that it made of them."""

    def __init__(self, model: Any) -> None:
        self.ids: list[int] = []
        self._cache: Any = None
        self._crops = _can_be_cut(model)
        self._options = last_logits_only(model)

    def common(self, prompt: Sequence[int]) -> int:
        """How many of the first tokens of a prompt needn't be read again. The last one always
        is: what comes next is learnt from reading it."""
        most = min(len(self.ids), len(prompt) - 1)
        same = next((at for at in range(most) if self.ids[at] != prompt[at]), most)
        return same if self._crops or same == len(self.ids) else 0

    def cut(self, length: int) -> None:
        """Forget all behind the first `length` tokens, or everything where that can't be done."""
        gone = len(self.ids) - length
        if not gone:
            return
        if length == 0:
            self.clear()
            return
        try:
            self._cache.crop(-gone)
            del self.ids[length:]
        except (RuntimeError, NotImplementedError, ValueError):  # a window has slid on
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.ids, self._cache = [], None

    def read(
        self, model: Any, tokens: Sequence[int], stopped: Callable[[], bool] = lambda: False
    ) -> torch.Tensor:
        """Read on from where this ends; the logits of what follows the last token.

        Raises Broken, with what was read kept, once `stopped()` is true between two pieces.
        """
        step = PIECE if self._crops else max(1, len(tokens))
        logits = None
        for begin in range(0, len(tokens), step):
            if begin and stopped():
                raise Broken
            logits = self._read(model, tokens[begin : begin + step])
        assert logits is not None
        return logits

    def lend(self, model: Any) -> Any:
        """The memory, for somebody who reads on by himself; None where that can't be cut, and
        so isn't known afterwards. It comes back with `take_back`."""
        if self._cache is None and self._crops:
            self._cache = DynamicCache(config=model.config)
        return self._cache if self._crops else None

    def take_back(self, ids: Sequence[int]) -> None:
        """These were read, as many of the first of them as the memory holds."""
        lengths = {int(layer.get_seq_length()) for layer in self._cache.layers}
        if len(lengths) != 1:  # some layers have read it and others not
            self.clear()
            return
        [held] = lengths
        unknown = max(0, held - len(ids))
        self.ids = [*ids[:held], *[-1] * unknown]
        self.cut(held - unknown)

    def _read(self, model: Any, piece: Sequence[int]) -> torch.Tensor:
        if self._cache is None and self._crops:
            self._cache = DynamicCache(config=model.config)
        ids = torch.tensor([list(piece)], device=model.device)
        try:
            with torch.inference_mode():
                out = model(
                    input_ids=ids, past_key_values=self._cache, use_cache=True, **self._options
                )
        except BaseException:
            self.clear()  # some layers may have read it and others not
            raise
        self._cache = out.past_key_values
        self.ids += piece
        logits: torch.Tensor = out.logits[0, -1]
        return logits


class Prefixes:
    """The prefixes of all voices, the latest used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[str, Prefix]] = OrderedDict()
        self._count = 0

    def take(self, voice: str, model: Any, prompt: Sequence[int]) -> Prefix:
        """The prefix of this voice that saves the most reading, cut to what it shares with the
        prompt; a new one where none does. It isn't kept any more until `keep`."""
        best, most = 0, 0
        for number, (owner, prefix) in self._kept.items():
            shared = prefix.common(prompt) if owner == voice else 0
            if shared > most:
                best, most = number, shared
        if not most:
            return Prefix(model)
        found = self._kept.pop(best)[1]
        found.cut(most)
        return found

    def keep(self, voice: str, prefix: Prefix) -> None:
        """Keep what a voice has read."""
        if not prefix.ids:
            return
        self._count += 1
        self._kept[self._count] = (voice, prefix)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def forget(self, voice: str) -> None:
        """Forget all that this voice has read."""
        for number in [n for n, (owner, _) in self._kept.items() if owner == voice]:
            del self._kept[number]

    def give_back(self) -> bool:
        """Forget what was used longest ago; whether there was anything."""
        if self._kept:
            self._kept.popitem(last=False)
            return True
        return False

    def clear(self) -> None:
        """Forget everything, and give its memory back."""
        self._kept.clear()


def last_logits_only(model: Any) -> dict[str, int]:
    """The option that spares the head all positions but the last, where the model has it."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    known = inspect.signature(base.forward).parameters
    return {"logits_to_keep": 1} if "logits_to_keep" in known else {}


def _can_be_cut(model: Any) -> bool:
    """Whether the model's memory is keys and values of single tokens, and nothing else."""
    if getattr(model, "_is_stateful", False):
        return False
    try:
        layers = DynamicCache(config=model.config).layers
    except Exception:  # a config that says its layers in another way
        return False
    return bool(layers) and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers
    )
