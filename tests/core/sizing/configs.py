"""Small configs of every architecture that is known, odd sizes on purpose."""

from __future__ import annotations

from typing import Any

_LLAMA: dict[str, Any] = {
    "vocab_size": 131,
    "hidden_size": 48,
    "intermediate_size": 104,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
}
_MIXTURE = _LLAMA | {
    "num_experts": 5,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 40,
    "shared_expert_intermediate_size": 56,
}
_GEMMA3 = _LLAMA | {"head_dim": 20, "sliding_window": 16, "sliding_window_pattern": 2}

SMALL: dict[str, dict[str, Any]] = {
    "llama": _LLAMA | {"model_type": "llama"},
    "llama, tied": _LLAMA | {"model_type": "llama", "tie_word_embeddings": True},
    "llama, biases": _LLAMA
    | {"model_type": "llama", "attention_bias": True, "mlp_bias": True, "head_dim": 12},
    "llama, null": _LLAMA | {"model_type": "llama", "num_key_value_heads": None, "head_dim": None},
    "mistral": _LLAMA | {"model_type": "mistral", "head_dim": 20, "sliding_window": 32},
    "mistral, null": _LLAMA | {"model_type": "mistral", "head_dim": None, "sliding_window": None},
    "qwen2": _LLAMA | {"model_type": "qwen2"},
    "qwen2, tied": _LLAMA | {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen2, own head size": _LLAMA | {"model_type": "qwen2", "head_dim": 12},
    "qwen3": _LLAMA | {"model_type": "qwen3"},
    "qwen3, tied": _LLAMA | {"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True},
    "gemma": _LLAMA | {"model_type": "gemma", "head_dim": 20},
    "gemma2": _LLAMA | {"model_type": "gemma2", "head_dim": 12, "sliding_window": 16},
    "gemma3_text": _GEMMA3 | {"model_type": "gemma3_text"},
    "phi": _LLAMA | {"model_type": "phi"},
    "phi, null": _LLAMA | {"model_type": "phi", "num_key_value_heads": None, "qk_layernorm": True},
    "phi3": _LLAMA | {"model_type": "phi3", "pad_token_id": 0, "eos_token_id": 2},
    "mixtral": _LLAMA | {"model_type": "mixtral", "num_local_experts": 3},
    "qwen2_moe": _MIXTURE | {"model_type": "qwen2_moe"},
    "qwen2_moe, some dense": _MIXTURE
    | {"model_type": "qwen2_moe", "mlp_only_layers": [1], "qkv_bias": False},
    "qwen3_moe": _MIXTURE | {"model_type": "qwen3_moe", "head_dim": 12},
    "qwen3_moe, every second": _MIXTURE | {"model_type": "qwen3_moe", "decoder_sparse_step": 2},
    "gpt_neox": _LLAMA | {"model_type": "gpt_neox"},
    "gpt_neox, no bias": _LLAMA | {"model_type": "gpt_neox", "attention_bias": False},
    "gpt2": {
        "model_type": "gpt2",
        "vocab_size": 131,
        "n_embd": 48,
        "n_layer": 3,
        "n_head": 6,
        "n_positions": 96,
    },
    "gpt2, wide": {
        "model_type": "gpt2",
        "vocab_size": 131,
        "n_embd": 48,
        "n_layer": 2,
        "n_head": 4,
        "n_inner": 100,
        "tie_word_embeddings": False,
    },
    "falcon": _LLAMA | {"model_type": "falcon"},
    "falcon, newer": _LLAMA
    | {"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 3, "bias": True},
    "falcon, in series": _LLAMA
    | {"model_type": "falcon", "parallel_attn": False, "multi_query": False},
    "stablelm": _LLAMA | {"model_type": "stablelm"},
    "stablelm, parallel": _LLAMA
    | {
        "model_type": "stablelm",
        "use_qkv_bias": True,
        "use_parallel_residual": True,
        "qk_layernorm": True,
    },
    "granite": _LLAMA | {"model_type": "granite"},
    "smollm3": _LLAMA | {"model_type": "smollm3", "pad_token_id": 0, "eos_token_id": 2},
    "seed_oss": _LLAMA | {"model_type": "seed_oss"},
    "ministral": _LLAMA | {"model_type": "ministral", "head_dim": 12},
    "hunyuan_v1_dense": _LLAMA | {"model_type": "hunyuan_v1_dense", "head_dim": 8},
    "exaone4": _LLAMA | {"model_type": "exaone4"},
    "olmo": _LLAMA | {"model_type": "olmo"},
    "olmo2": _LLAMA | {"model_type": "olmo2"},
    "starcoder2": _LLAMA | {"model_type": "starcoder2"},
}
DEFAULTS = (
    *("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3"),
    *("mixtral", "qwen2_moe", "qwen3_moe", "gpt_neox", "gpt2", "falcon", "stablelm", "granite"),
    *("smollm3", "seed_oss", "exaone4", "olmo", "olmo2"),
    "starcoder2",
)
"""Architectures whose config.json may leave everything out."""
QUANTIZED = (
    *("llama", "llama, tied", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi", "phi3"),
    *("mixtral", "qwen2_moe", "gpt_neox", "gpt2, wide"),
)
"""Those whose real tensors are made and counted: one of each way of being built."""
