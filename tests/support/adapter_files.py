"""The files that PEFT writes for an adapter, without PEFT and torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.support import tiny_model as tiny

RANK = 4


def write_adapter(
    folder: Path, hidden: int = tiny.HIDDEN, size: float = 0.0, **config: object
) -> Path:
    """A rank 4 adapter on every q_proj of the tiny model; `size` above 0 makes it speak up."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "somebody/tiny-llama",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": ["q_proj"],
    } | config
    (folder / "adapter_config.json").write_text(json.dumps(settings), "utf-8")
    random = np.random.default_rng(1)
    tensors = {}
    for layer in range(tiny.LAYERS):
        stem = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_"
        for name, shape in (("A", (RANK, hidden)), ("B", (hidden, RANK))):
            values = random.normal(0, 1, shape).astype(np.float32)
            tensors[f"{stem}{name}.weight"] = values * np.float32(size)
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder
