"""What is trained: rows of plain English of natural lengths, and a model."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path

from tokenizers import Tokenizer

HELD_OUT_ROWS = 32
_WHO = ("The gardener", "A young pilot", "My neighbour", "The old captain", "Our teacher")
_DID = ("carried", "painted", "repaired", "remembered", "found", "described", "bought")
_WHAT = ("a wooden boat", "three letters", "the broken clock", "some bread", "an unusual stone")
_WHERE = ("near the river", "in the quiet library", "behind the station", "at the market")
_WHEN = ("before sunrise", "on a rainy Tuesday", "after the long meeting", "last winter")
_SPREAD = 0.6  # of the logarithm of a row's length, about that of instruction data sets


def rows(count: int, mean_tokens: int, longest: int, seed: int) -> list[dict[str, object]]:
    """Chats whose answers have lengths spread as those of instruction data sets are."""
    draw = random.Random(seed)
    return [_row(draw, _length(draw, mean_tokens, longest)) for _ in range(count)]


def write_rows(path: Path, found: list[dict[str, object]]) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
    return path


def tokens_of(path: Path, model: Path, longest: int) -> tuple[int, int]:
    """All tokens of the rows in ChatML, which the starter model speaks, and those of the answers,
    which are learnt; of each row no more than `longest`."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    every = answers = 0
    for line in path.read_text("utf-8").splitlines():
        said = json.loads(line)["messages"]
        texts = [f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in said]
        counts = [len(tokenizer.encode(text).ids) for text in texts]
        before = min(longest, sum(counts[:-1]))
        every += min(longest, sum(counts))
        answers += min(longest, sum(counts)) - before
    return every, answers


def random_model(like: Path, vocabulary: int, path: Path) -> Path:
    """Random weights of the shape of `like`, but for the size of the vocabulary."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if (path / "model.safetensors").exists():
        return path
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(like, vocab_size=vocabulary, dtype=torch.bfloat16)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (like / name).exists():
            shutil.copy(like / name, path / name)
    return path


def _length(draw: random.Random, mean: int, longest: int) -> int:
    wanted = draw.lognormvariate(math.log(mean) - _SPREAD**2 / 2, _SPREAD)
    return max(30, min(int(wanted), longest - 40))


def _row(draw: random.Random, length: int) -> dict[str, object]:
    topic = f"{draw.choice(_WHO).lower()} {draw.choice(_WHERE)}"
    question = f"Tell me what you know about {topic}, in {draw.randrange(2, 90)} lines."
    answer = ""
    while _about(question + answer) < length - 14:
        answer += " " + _sentence(draw)
    return {
        "messages": [
            {"role": "system", "content": "You are a helpful AI assistant."},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer.strip()},
        ]
    }


def _sentence(draw: random.Random) -> str:
    words = (draw.choice(_WHO), draw.choice(_DID), draw.choice(_WHAT), draw.choice(_WHERE))
    return f"{' '.join(words)} {draw.choice(_WHEN)}, and counted {draw.randrange(1000)}."


def _about(text: str) -> int:
    """Tokens, roughly."""
    return int(len(text) / 4.6)
