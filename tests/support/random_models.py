"""Models of every architecture, small and random, as folders that the engine can load."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

_LIKE_LLAMA = {
    "vocab_size": 4096,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}
_SHARED_EXPERT = {"shared_expert_intermediate_size": 320, "norm_topk_prob": True}
_EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 192}
_GEMMA = {"tie_word_embeddings": True, "head_dim": 48, "num_attention_heads": 4}
_PHI = {"num_key_value_heads": 6, "partial_rotary_factor": 0.5}

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": _LIKE_LLAMA,
    "mistral": _LIKE_LLAMA | {"sliding_window": 128},
    "qwen2": _LIKE_LLAMA | {"tie_word_embeddings": True},
    "qwen3": _LIKE_LLAMA | {"head_dim": 48},
    "gemma": _LIKE_LLAMA | _GEMMA | {"num_key_value_heads": 1},
    "gemma2": _LIKE_LLAMA | _GEMMA | {"query_pre_attn_scalar": 48, "sliding_window": 128},
    "gemma3_text": _LIKE_LLAMA | _GEMMA | {"query_pre_attn_scalar": 48, "sliding_window": 128},
    "phi": _LIKE_LLAMA | _PHI,
    "phi3": _LIKE_LLAMA | {"pad_token_id": 2, "original_max_position_embeddings": 2048},
    "mixtral": _LIKE_LLAMA | {"num_local_experts": 4, "intermediate_size": 320},
    "qwen2_moe": _LIKE_LLAMA | _EXPERTS | _SHARED_EXPERT,
    "qwen3_moe": _LIKE_LLAMA | _EXPERTS | {"norm_topk_prob": True},
    "gpt_neox": _LIKE_LLAMA | {"rotary_pct": 0.25},
    "gpt2": {
        "vocab_size": 4096,
        "n_embd": 192,
        "n_layer": 5,
        "n_head": 6,
        "n_positions": 2048,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
}  # fmt: skip


def config_of(kind: str, **changes: Any) -> Any:
    """The configuration of this kind as transformers fills it in."""
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    return AutoConfig.for_model(kind, **(tokens | CONFIGS[kind] | changes))


def build(folder: Path, kind: str, tokenizer: Path, dtype: str = "float32", **changes: Any) -> Path:
    """Write the model with the tokenizer of another folder; return its folder."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        config_of(kind, **changes), dtype=getattr(torch, dtype)
    )
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tokenizer / name, folder / name)
    return folder
