"""How long the bare matrix products of a step take: what no training can undercut here.

Run as `python -m tests.benchmarks.speed.floor PLAN TRAINED_SHARE`; prints seconds a token.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

TOKENS = 1024
TIMES = 5


class Product(NamedTuple):
    """`count` layers that turn `inputs` numbers of each token into `outputs`, for this share of
    the tokens; `learns` where the weight itself gets a gradient."""

    inputs: int
    outputs: int
    count: int
    share: float
    learns: bool


def products(config: dict[str, Any], plan: dict[str, Any], trained: float) -> Iterator[Product]:
    """Those of a Llama-like model and of adapters on all its layers. Attention's own are left
    out: at these lengths they are a hundredth."""
    hidden, middle = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    keys = head * config["num_key_value_heads"]
    full, layers = plan["method"] == "full", config["num_hidden_layers"]
    shapes = [(hidden, head * config["num_attention_heads"])] + 2 * [(hidden, keys)]
    shapes += [(head * config["num_attention_heads"], hidden)]
    shapes += 2 * [(hidden, middle)] + [(middle, hidden)]
    for inputs, outputs in shapes:
        yield Product(inputs, outputs, layers, 1.0, full)
        if not full:
            yield Product(inputs, plan["rank"], layers, 1.0, True)
            yield Product(plan["rank"], outputs, layers, 1.0, True)
    yield Product(hidden, config["vocab_size"], 1, trained, full)


def seconds(product: Product, dtype: torch.dtype) -> float:
    """A token's time: forward, gradient of the input and, where it learns, of the weight."""
    tokens = TOKENS if product.share == 1.0 else max(1, round(TOKENS * product.share))
    made = torch.randn(tokens, product.inputs).to(dtype)
    weight = torch.randn(product.outputs, product.inputs).to(dtype)
    gradient = torch.randn(tokens, product.outputs).to(dtype)
    ways = [lambda: made @ weight.T, lambda: gradient @ weight]
    if product.learns:
        ways.append(lambda: gradient.T @ made)
    best = 0.0
    for way in ways:
        way()
        taken = []
        for _ in range(TIMES):
            begun = time.perf_counter()
            way()
            taken.append(time.perf_counter() - begun)
        best += min(taken)
    return best * product.count / TOKENS


def a_token(config: dict[str, Any], plan: dict[str, Any], trained: float) -> dict[str, float]:
    """Seconds a token in each number format."""
    found = {}
    for dtype in (torch.bfloat16, torch.float32):
        each = [seconds(product, dtype) for product in products(config, plan, trained)]
        found[str(dtype).removeprefix("torch.")] = sum(each)
    return found


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    torch.set_num_threads(plan["threads"])
    config = json.loads((Path(plan["model"]) / "config.json").read_text("utf-8"))
    print(json.dumps(a_token(config, plan, float(sys.argv[2]))))


if __name__ == "__main__":
    main()
