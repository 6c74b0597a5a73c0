"""The starter model in llama.cpp against itself in transformers: how often both find the same
token likeliest, over a thousand places of the model's own answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from studio.engine.generate import greedy, prompt_ids, stop_tokens
from studio.engine.llama_cpp import quantize
from studio.engine.load import load_model, load_tokenizer
from studio.engine.runtimes import Row
from studio.engine.runtimes.of_llama_cpp import OfLlamaCpp
from studio.engine.runtimes.of_transformers import OfTransformers
from tests.engine.llama_cpp.conftest import nothing

PLACES, LONGEST = 1_000, 64
SURE = 0.25
ASKED = (
    "What is the capital of France?", "Write one sentence about the sea.", "Why is the sky blue?",
    "Explain in a few words how a bicycle stays upright.", "Give me three names for a cat.",
    "How many days are there in a leap year?", "Write a short story about a fox.",
    "List five fruits.", "What is photosynthesis?", "Tell me about the Roman Empire.",
    "How do I boil an egg?", "Give advice for learning to swim.", "What does a compiler do?",
    "Write a poem on winter.", "Name three planets and describe them.", "What is democracy?",
    "What is a prime number?", "How does rain form?", "Describe a castle.",
    "Write an email asking for a day off.",
)  # fmt: skip

pytestmark = pytest.mark.timeout(900)  # a minute alone; the machine may be busy


@dataclass(frozen=True)
class Live:
    """`sure` says where the likeliest token is ahead of the next by more than SURE nats."""

    rows: list[Row]
    likeliest: torch.Tensor
    sure: torch.Tensor


@pytest.fixture(scope="module")
def live(starter_model: Path) -> Iterator[Live]:
    """The model's answers in 32 bits, and what it finds likeliest at each of their places."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    tokenizer = load_tokenizer(starter_model)
    model = load_model(starter_model, torch.float32, device=torch.device("cpu"))
    prompts = [prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in ASKED]
    stops = stop_tokens(model, tokenizer)
    answers = greedy(model, prompts, stops, LONGEST, lambda: None)
    rows = [
        Row((*prompt, *answer), tuple(range(len(prompt) - 1, len(prompt) + len(answer) - 2)))
        for prompt, answer in zip(prompts, answers, strict=True)
        if len(answer) > 1
    ]
    told = OfTransformers(model, tokenizer).read(rows, lambda: None)
    logprobs = torch.cat([each.logprobs for each in told])
    best = logprobs.topk(2, dim=-1)
    yield Live(rows, best.indices[:, 0], best.values[:, 0] - best.values[:, 1] > SURE)
    torch.set_num_threads(before)


def agreement(file: Path, live: Live) -> tuple[float, float]:
    """The share of all places, and of those where the model is sure."""
    runtime = OfLlamaCpp(file)
    chosen = torch.cat([told.chosen for told in runtime.read(live.rows, lambda: None)])
    runtime.close()
    same = (chosen == live.likeliest).float()
    return float(same.mean()), float(same[live.sure].mean())


def test_in_16_bits_nearly_every_token_is_the_same(live: Live, starter_gguf: Path) -> None:
    assert len(live.likeliest) >= PLACES
    assert agreement(starter_gguf, live)[0] >= 0.995


def test_in_8_bits_most_are(live: Live, starter_gguf: Path, tmp_path: Path) -> None:
    """This model answers freely here and is often in two minds: at a tenth of the places its two
    likeliest tokens are within SURE of each other. Measured: 0.971 of all places, 0.996 where it
    is sure. Rounding the weights alone leaves 0.989, and transformers in bfloat16 comes to 0.983;
    the rest is that llama.cpp rounds what goes into a product to 8 bits as well, which done in
    torch gives 0.970. On what an adapter was trained for see tests/end_to_end/test_quickstart.py.
    """
    file = tmp_path / "Q8_0.gguf"
    quantize.quantize(starter_gguf, file, "Q8_0", nothing, threads=1)
    all_places, sure = agreement(file, live)
    assert all_places >= 0.96
    assert sure >= 0.99
