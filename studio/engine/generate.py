"""Text from a causal language model: one answer token by token, or many greedily at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from studio.engine.prefix import Prefix, last_logits_only

_FEW = 512
_END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endofturn|>", "</s>")


class Sampler:
    """Chooses the next token: greedy at temperature 0, else nucleus sampling from a seed.

    Nucleus sampling keeps the likeliest tokens whose probabilities reach `top_p` together
    (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1), of the
    `top_k` likeliest where that isn't 0. What was read or said already becomes less likely by
    `repetition_penalty` (Keskar et al. 2019, "CTRL", section 4.1).
    """

    def __init__(
        self,
        temperature: float,
        top_p: float,
        seed: int,
        top_k: int = 0,
        repetition_penalty: float = 1.0,
    ) -> None:
        self._temperature = temperature
        self._top_p = top_p
        self._top_k = top_k
        self._penalty = repetition_penalty
        self._seen: dict[int, None] = {}
        self._random = torch.Generator().manual_seed(seed)

    def begin(self, prompt: Sequence[int]) -> None:
        """Take note of what was read before the first token."""
        self._seen = dict.fromkeys(prompt)

    def __call__(self, logits: torch.Tensor) -> int:
        """The id chosen for logits of shape [vocabulary]."""
        if self._penalty != 1.0 and self._seen:
            logits = self._penalised(logits)
        token = int(logits.argmax()) if self._temperature <= 0 else self._drawn(logits)
        self._seen[token] = None
        return token

    def _penalised(self, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.float().clone()
        seen = torch.tensor(list(self._seen), device=logits.device)
        given = logits[seen]
        logits[seen] = torch.where(given < 0, given * self._penalty, given / self._penalty)
        return logits

    def _drawn(self, logits: torch.Tensor) -> int:
        scaled = logits.float().cpu() / self._temperature
        if self._top_k:
            kept, ids = scaled.topk(min(self._top_k, len(scaled)))
            likely = torch.softmax(kept, dim=-1)
        else:
            likely, ids = self._likeliest(torch.softmax(scaled, dim=-1))
        before = likely.cumsum(0) - likely
        likely[1:][before[1:] >= self._top_p] = 0.0
        return int(ids[torch.multinomial(likely, 1, generator=self._random)])

    def _likeliest(self, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The shares in falling order with their ids, as far down as the nucleus reaches: sorting
        a whole vocabulary takes as long as a small model's layer."""
        few, ids = shares.topk(min(_FEW, len(shares)))
        if float(few.sum()) >= self._top_p:
            return few, ids
        return shares.sort(descending=True)


class Detokenizer:
    """Text of a growing list of ids, never half a character.

    A token may end inside a UTF-8 sequence, and a word may look different without the token
    before it. So each piece is the difference of two decodings that begin at the same token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._begin = 0
        self._told = 0

    def add(self, token: int) -> str:
        """The text that this token completes; empty while a character is incomplete."""
        self._ids.append(token)
        text = self._text(self._begin, None)
        return "" if text.endswith("\N{REPLACEMENT CHARACTER}") else self._tell(text)

    def rest(self) -> str:
        """What is held back, without the beginning of a character that never came."""
        return self._tell(self._text(self._begin, None).rstrip("\N{REPLACEMENT CHARACTER}"))

    def _tell(self, text: str) -> str:
        new = text[len(self._text(self._begin, self._told)) :]
        self._begin, self._told = self._told, len(self._ids)
        return new

    def _text(self, begin: int, end: int | None) -> str:
        return decode(self._tokenizer, self._ids[begin:end])


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of ids, special tokens left out."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text)


def stop_tokens(
    model: Any, tokenizer: PreTrainedTokenizerBase, template: str = ""
) -> frozenset[int]:
    """The ids that end an answer: the model's own, the tokenizer's and the template's, which is
    the tokenizer's unless another is given."""
    named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found = set(named) if isinstance(named, list | tuple) else {named}
    found.add(tokenizer.eos_token_id)
    if not template and isinstance(tokenizer.chat_template, str):
        template = tokenizer.chat_template
    vocabulary = tokenizer.get_vocab()
    found |= {vocabulary[t] for t in _END_OF_TURN if t in template and t in vocabulary}
    return frozenset(int(token) for token in found if token is not None)


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], template: str = ""
) -> list[int]:
    """A conversation as the ids after which the answer begins, by this chat template or the
    tokenizer's own."""
    text = tokenizer.apply_chat_template(
        list(messages), chat_template=template or None, tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def stream(
    model: Any,
    prompt: Sequence[int],
    sampler: Sampler,
    stop: frozenset[int],
    max_new_tokens: int,
    prefix: Prefix | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[int]:
    """The ids of one answer, one at a time, without the id that ended it.

    A `prefix` that the prompt begins with isn't read again, and grows by all that is read here.
    Raises Broken once `stopped()` is true while the prompt is being read.
    """
    prefix = prefix or Prefix(model)
    sampler.begin(prompt)
    fresh = prompt[len(prefix.ids) :]
    for _ in range(max_new_tokens):
        token = sampler(prefix.read(model, fresh, stopped))
        if token in stop:
            return
        yield token
        fresh = [token]


@torch.inference_mode()
def greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    stop: frozenset[int],
    max_new_tokens: int,
    tick: Callable[[], None] = lambda: None,
    choose: Callable[[torch.Tensor], torch.Tensor] = lambda logits: logits.argmax(-1),
) -> list[list[int]]:
    """Greedy answers to prompts of about the same length, in one batch padded on the left.

    `tick` is called before every token and may raise to break off. `choose` takes one id for each
    row of logits, where it shall not be the likeliest.
    """
    ids, mask = _pad_left(prompts, next(iter(stop), 0), model.device)
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    options, cache = last_logits_only(model), None
    answers: list[list[int]] = [[] for _ in prompts]
    open_rows = set(range(len(prompts)))
    for _ in range(max_new_tokens):
        tick()
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **options,
        )
        cache, chosen = out.past_key_values, choose(out.logits[:, -1])
        for row, token in enumerate(chosen.tolist()):
            if token in stop:
                open_rows.discard(row)
            elif row in open_rows:
                answers[row].append(token)
        if not open_rows:
            break
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=-1)
    return answers


def _pad_left(
    prompts: Sequence[Sequence[int]], fill: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), fill)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(list(prompt))
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)
