"""Models to verify with: the starter where it is at hand, and random weights of known shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from tests.support import tiny_model

SHARD_BYTES = 2 << 30
SPREAD = 0.02

# hidden, inner, layers, heads, key heads, vocabulary, tied
SIZES: dict[str, tuple[int, int, int, int, int, int, bool]] = {
    "tiny": (64, 128, 2, 4, 2, 512, True),
    "starter": (576, 1536, 30, 9, 3, 49152, True),
    "1b": (2048, 8192, 16, 32, 8, 128256, True),
    "8b": (4096, 14336, 32, 32, 8, 128256, False),
}


def build(size: str, folder: Path) -> Path:
    """A model folder in bfloat16 of this size, with random weights and a small real tokenizer."""
    if (folder / "model.safetensors.index.json").exists():
        return folder
    tiny_model.build(folder)
    (folder / "model.safetensors").unlink()
    (folder / "config.json").write_text(json.dumps(_config(size)), "utf-8")
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(config)
    _write(folder, {name: value.shape for name, value in skeleton.named_parameters()})
    return folder


def _config(size: str) -> dict[str, Any]:
    hidden, inner, layers, heads, keys, vocabulary, tied = SIZES[size]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "head_dim": hidden // heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
        "max_position_embeddings": 8192,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dtype": "bfloat16",
    }


def _write(folder: Path, shapes: dict[str, torch.Size]) -> None:
    """Random weights, a shard at a time: no more than one of them is in memory."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator(device).manual_seed(0)
    places: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    for name, shape in shapes.items():
        made = torch.empty(shape, dtype=torch.bfloat16, device=device)
        usual = len(shape) > 1
        shard[name] = (made.normal_(0.0, SPREAD, generator=draw) if usual else made.fill_(1)).cpu()
        if sum(value.nbytes for value in shard.values()) > SHARD_BYTES:
            _save(folder, shard, places)
    _save(folder, shard, places)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def _save(folder: Path, shard: dict[str, torch.Tensor], places: dict[str, str]) -> None:
    name = f"model-{len(set(places.values())):05}.safetensors"
    if shard:
        save_file(shard, folder / name, metadata={"format": "pt"})
    places.update(dict.fromkeys(shard, name))
    shard.clear()
