"""Does the exported model say what the live adapter says? Measured, token by token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from transformers import PreTrainedTokenizerBase

from studio.engine import quantized_base
from studio.engine.conversation import attach
from studio.engine.generate import greedy, prompt_ids, stop_tokens
from studio.engine.load import load_model, load_tokenizer
from studio.engine.precision import best_device
from studio.engine.streaming_merge import Quantize

FILE = "passport.json"
ANSWER_TOKENS = 24
PROMPTS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Turn this into JSON: Ada paid 12 euros for lunch on Monday.",
    "Explain in a few words how a bicycle stays upright.",
    "Give me three names for a cat.",
    "Translate into German: Good morning, my friend.",
    "Note: call the dentist at nine, bring the insurance card.",
    "How many days are there in a leap year?",
)

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Tolerance:
    """What passes: the least `agreement`, the largest mean KL divergence, and how near in nats two
    tokens must be to count as a tie."""

    agreement: float
    kl: float
    tie: float


TOLERANCES: dict[torch.dtype, Tolerance] = {
    torch.float32: Tolerance(agreement=0.99, kl=1e-4, tie=1e-3),
    torch.float16: Tolerance(agreement=0.97, kl=5e-3, tie=0.03),
    torch.bfloat16: Tolerance(agreement=0.95, kl=3e-2, tie=0.25),
}
"""float32 differs only in the order of additions. A merged 16-bit weight is rounded to 11 or 8
significant bits where the live adapter kept its sum apart. Logits between 16 and 32 lie 1/64 apart
in float16 and 1/8 in bfloat16: two such steps are a tie, which either model may break either way.
`kl_without_adapter` says how far from all this a lost adapter would be."""


class Passport(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured over `positions` tokens of answers to fixed prompts.

    `top1` is the share of positions at which both find the same token likeliest; `agreement`
    counts a tie in the live model as the same. `kl` is the mean and `kl_max` the largest
    KL(live || exported) in nats a token, in `dtype`.
    `kl_without_adapter` is the same mean for the bare base: what losing the adapter would give.
    """

    grade: Literal["pass", "fail"]
    top1: float
    agreement: float
    kl: float
    kl_max: float
    kl_without_adapter: float
    positions: int
    prompts: int
    dtype: str
    tolerance_agreement: float
    tolerance_kl: float


def check(
    base: Path, adapter: Path, exported: Path, dtype: torch.dtype, progress: Progress,
    held: Quantize | None = None,
) -> Passport:  # fmt: skip
    """Compare base + adapter, live, with the exported model folder on the same prompts.

    The live model answers greedily; both then read prompts and answers, and their distributions
    are compared at every token of the answers. One model is in memory at a time. `progress` is
    told what goes on and its share, and may raise to break off. `held` turns the base's weights
    into those that the export was built from, where these were others.
    """
    progress("Checking the merged model: asking the adapter", 0.0)
    rows, live, bare = _live(base, adapter, dtype, progress, held)
    progress("Checking the merged model: reading the merged weights", 0.7)
    model = load_model(exported, dtype, device=best_device())
    told = _distributions(model, rows, lambda: progress("Checking the merged model", 0.8))
    return _grade(live, told, bare, dtype, len(rows))


@dataclass(frozen=True)
class _Row:
    """A prompt with its answer; the positions that predict the answer begin at `start`."""

    ids: list[int]
    start: int


def _live(
    base: Path, adapter: Path, dtype: torch.dtype, progress: Progress, held: Quantize | None
) -> tuple[list[_Row], torch.Tensor, torch.Tensor]:
    tokenizer = load_tokenizer(base)
    loaded = load_model(base, dtype, device=best_device())
    if held:
        quantized_base.put(loaded, held)
    model = attach(loaded, adapter)
    rows = _rows(model, tokenizer, lambda: progress("Checking: the adapter answers", 0.2))
    live = _distributions(model, rows, lambda: progress("Checking: the adapter", 0.4))
    with model.disable_adapter():
        bare = _distributions(model, rows, lambda: progress("Checking: the bare model", 0.6))
    return rows, live, bare


def _rows(model: Any, tokenizer: PreTrainedTokenizerBase, tick: Callable[[], None]) -> list[_Row]:
    prompts = [prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in PROMPTS]
    stop = stop_tokens(model.get_base_model(), tokenizer)
    end = min(stop, default=0)
    answers = greedy(model, prompts, stop, ANSWER_TOKENS, tick)
    return [
        _Row(prompt + answer + [end], len(prompt) - 1)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


@torch.inference_mode()
def _distributions(model: Any, rows: list[_Row], tick: Callable[[], None]) -> torch.Tensor:
    """Log-probabilities, [positions, vocabulary] in float32 on the processor."""
    parts = []
    for row in rows:
        tick()
        logits = model(input_ids=torch.tensor([row.ids], device=model.device)).logits[0]
        parts.append(torch.log_softmax(logits[row.start : -1].float(), dim=-1).cpu())
    return torch.cat(parts)


def _grade(
    live: torch.Tensor, told: torch.Tensor, bare: torch.Tensor, dtype: torch.dtype, prompts: int
) -> Passport:
    limits, divergences = TOLERANCES[dtype], _divergence(live, told)
    chosen = told.argmax(-1)
    behind = live.amax(-1) - live.gather(-1, chosen[:, None])[:, 0]
    agreement = float((behind <= limits.tie).float().mean())
    mean = float(divergences.mean())
    passed = agreement >= limits.agreement and mean <= limits.kl
    return Passport(
        grade="pass" if passed else "fail",
        top1=float((live.argmax(-1) == chosen).float().mean()),
        agreement=agreement,
        kl=mean,
        kl_max=float(divergences.max()),
        kl_without_adapter=float(_divergence(live, bare).mean()),
        positions=live.shape[0],
        prompts=prompts,
        dtype=str(dtype).removeprefix("torch."),
        tolerance_agreement=limits.agreement,
        tolerance_kl=limits.kl,
    )


def _divergence(reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """KL(reference || other) at every position, in nats, never below 0 by rounding."""
    return (reference.exp() * (reference - other)).sum(-1).clamp_min(0.0)
