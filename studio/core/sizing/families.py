"""What transformers' architectures take for granted: the fields that a config.json may leave out
and how their layers are built (transformers 5.23, models/*/configuration_*.py, modeling_*.py)."""

from __future__ import annotations

from typing import Any

import msgspec

from studio.core.sizing.shapes import Norm, QkNorm


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """How an architecture that is built like Llama differs from it.

    A bias is a constant, or the field of config.json that says so. `head_dim` is "" where the
    field isn't read.
    """

    defaults: dict[str, Any]
    qkv_bias: bool | str = False
    out_bias: bool | str = False
    mlp_bias: bool | str = False
    norm: Norm = "rms"
    norm_values: int = 1
    norms: int = 2
    qk_norm: QkNorm = ""
    fused: bool = False
    gated: bool = True
    windows: str = ""
    experts: str = ""
    head_dim: str = "head_dim"
    activation: str = "hidden_act"
    scaled_embeddings: bool = False
    modules: dict[str, str] = {}


LLAMA: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}
MISTRAL = LLAMA | {
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
}
QWEN2 = LLAMA | {
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "sliding_window": 4096,
    "max_window_layers": 28,
}
MIXTURE = QWEN2 | {
    "hidden_size": 2048,
    "num_hidden_layers": 24,
    "decoder_sparse_step": 1,
}
GEMMA = LLAMA | {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}
GEMMA2 = GEMMA | {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "hidden_activation": "gelu_pytorch_tanh",
    "sliding_window": 4096,
    "sliding_window_pattern": 2,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
}
GEMMA3 = GEMMA2 | {
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
    "sliding_window_pattern": 6,
    "final_logit_softcapping": None,
    "attn_logit_softcapping": None,
}

_MIXTURE_OF_QWEN2 = MIXTURE | {
    "intermediate_size": 5632,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
    "num_experts_per_tok": 4,
    "num_experts": 60,
    "qkv_bias": True,
}
_MIXTURE_OF_QWEN3 = MIXTURE | {
    "intermediate_size": 6144,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 768,
    "num_experts_per_tok": 8,
    "num_experts": 128,
}
_PHI = LLAMA | {
    "vocab_size": 51200,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "hidden_act": "gelu_new",
    "partial_rotary_factor": 0.5,
}
_PHI3 = LLAMA | {
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "max_position_embeddings": 4096,
}
_STABLELM = LLAMA | {
    "vocab_size": 50304,
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "partial_rotary_factor": 0.25,
}

LIKE_LLAMA: dict[str, Traits] = {
    "llama": Traits(
        defaults=LLAMA,
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        mlp_bias="mlp_bias",
    ),
    "mistral": Traits(defaults=MISTRAL | {"sliding_window": 4096}, windows="all"),
    "qwen2": Traits(defaults=QWEN2, qkv_bias=True, windows="upper"),
    "qwen3": Traits(
        defaults=QWEN2 | {"head_dim": 128},
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        qk_norm="head",
        windows="upper",
    ),
    "gemma": Traits(
        defaults=GEMMA,
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        norm="rms+1",
        scaled_embeddings=True,
    ),
    "gemma2": Traits(
        defaults=GEMMA2,
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        norm="rms+1",
        norms=4,
        windows="pattern",
        activation="hidden_activation",
        scaled_embeddings=True,
    ),
    "gemma3_text": Traits(
        defaults=GEMMA3,
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        norm="rms+1",
        norms=4,
        qk_norm="head",
        windows="pattern",
        activation="hidden_activation",
        scaled_embeddings=True,
    ),
    "mixtral": Traits(
        defaults=MISTRAL | {"num_experts_per_tok": 2, "num_local_experts": 8},
        windows="all",
        experts="mixtral",
    ),
    "qwen2_moe": Traits(
        defaults=_MIXTURE_OF_QWEN2,
        qkv_bias="qkv_bias",
        windows="odd",
        experts="qwen",
    ),
    "qwen3_moe": Traits(
        defaults=_MIXTURE_OF_QWEN3,
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        qk_norm="head",
        windows="all",
        experts="qwen",
    ),
    "phi": Traits(
        defaults=_PHI,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        norm="layer",
        norm_values=2,
        norms=1,
        gated=False,
        modules={"o_proj": "dense", "up_proj": "fc1", "down_proj": "fc2"},
    ),
    "phi3": Traits(defaults=_PHI3, fused=True, windows="all"),
    "stablelm": Traits(
        defaults=_STABLELM,
        qkv_bias="use_qkv_bias",
        norm="layer",
        norm_values=2,
        head_dim="",
    ),
    "granite": Traits(
        defaults=LLAMA,
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        mlp_bias="mlp_bias",
    ),
    "smollm3": Traits(
        defaults=LLAMA
        | {
            "vocab_size": 128256,
            "hidden_size": 2048,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "tie_word_embeddings": True,
        },
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        mlp_bias="mlp_bias",
    ),
    "seed_oss": Traits(
        defaults=LLAMA
        | {
            "vocab_size": 155136,
            "intermediate_size": 27648,
            "num_hidden_layers": 64,
            "num_attention_heads": 80,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "attention_bias": True,
        },
        qkv_bias="attention_bias",
        out_bias="attention_out_bias",
        mlp_bias="mlp_bias",
    ),
    "ministral": Traits(defaults=MISTRAL | {"sliding_window": 4096}, windows="all"),
    "hunyuan_v1_dense": Traits(
        defaults=LLAMA | {"vocab_size": 290943},
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        qk_norm="head",
    ),
    "exaone4": Traits(
        defaults=LLAMA
        | {
            "vocab_size": 102400,
            "intermediate_size": 16384,
            "sliding_window": 4096,
            "sliding_window_pattern": 4,
        },
        qk_norm="head",
        windows="pattern",
    ),
    "olmo": Traits(
        defaults=LLAMA | {"vocab_size": 50304},
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        norm="layer",
        norm_values=0,
    ),
    "olmo2": Traits(
        defaults=LLAMA | {"vocab_size": 50304},
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        qk_norm="all",
    ),
    "starcoder2": Traits(
        defaults=LLAMA
        | {
            "vocab_size": 49152,
            "hidden_size": 3072,
            "intermediate_size": 12288,
            "num_hidden_layers": 30,
            "num_attention_heads": 24,
            "num_key_value_heads": 2,
            "hidden_act": "gelu_pytorch_tanh",
            "use_bias": True,
            "tie_word_embeddings": True,
        },
        qkv_bias="use_bias",
        out_bias="use_bias",
        mlp_bias="use_bias",
        norm="layer",
        norm_values=2,
        gated=False,
        windows="all",
        modules={"up_proj": "c_fc", "down_proj": "c_proj"},
    ),
}
