"""How fast llama.cpp chats with a GGUF beside transformers with the live adapter: `python -m
tests.benchmarks.gguf_chat --model DIR --adapter DIR --gguf FILE…`.

Greedy answers of one length to one prompt, in turn, with the same threads; the ratio is to the
adapter.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from studio.engine.beside import attach
from studio.engine.generate import greedy, prompt_ids
from studio.engine.llama_cpp.model import GgufModel
from studio.engine.load import load_model, load_tokenizer, stored_dtype

ASKED = [{"role": "user", "content": "Tell me about the Roman Empire in a few sentences."}]
CONTEXT = 512


def main() -> None:
    """Print a line for the adapter and one for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--gguf", type=Path, nargs="+", required=True)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine: one thread")
    options = parser.parse_args()
    now = time.process_time if options.cpu_time else time.perf_counter
    torch.set_num_threads(options.threads)
    tokenizer = load_tokenizer(options.model)
    prompt = prompt_ids(tokenizer, ASKED)
    model = load_model(options.model, stored_dtype(options.model), device=torch.device("cpu"))
    if options.adapter:
        model = attach(model, options.adapter)
    contests: dict[str, Callable[[], object]] = {
        "transformers": lambda: greedy(model, [prompt], frozenset(), options.tokens, lambda: None)
    }
    files = [GgufModel(file, context=CONTEXT, threads=options.threads) for file in options.gguf]
    for file in files:
        contests[file.path.name] = lambda file=file: _answer(file, prompt, options.tokens)
    taken: dict[str, list[float]] = {name: [] for name in contests}
    for _ in range(options.repeat):
        for name, contest in contests.items():
            begin = now()
            contest()
            taken[name].append(options.tokens / (now() - begin))
    speeds = {name: statistics.median(found) for name, found in taken.items()}
    for name, speed in speeds.items():
        print(f"{name:<32} {speed:7.1f} tokens/s  {speed / speeds['transformers']:5.2f}x")


def _answer(model: GgufModel, prompt: list[int], count: int) -> None:
    """As many tokens, wherever the answer would have ended."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(model.logits(tokens, len(tokens) - 1)[0].argmax()))


if __name__ == "__main__":
    main()
