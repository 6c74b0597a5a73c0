"""A model folder in a blink: random weights, a real small tokenizer, nothing heavy imported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TEXT = """The quick brown fox jumps over the lazy dog while the studio trains a small model.
A person asks for something and the assistant answers with what it has learnt from examples.
user assistant system What is the capital of France? The capital of France is Paris.
{"name": "Ada", "city": "London", "amount": 1234567890, "date": "2026-11-22"} [1, 2, 3] yes no
Please turn this note into one line of JSON: coffee with Ben at nine, five euros, paid in cash.
Numbers grow: one two three four five six seven eight nine ten eleven twelve, then 20, 100, 2027.
Please write a short poem about winter, rivers, mountains, bright windows and a quiet morning.
Once upon a time there was a little machine that wanted to understand every word it was given.
"""
HIDDEN, LAYERS, HEADS, KEY_HEADS, INNER, VOCABULARY = 64, 2, 4, 2, 128, 512


def build(folder: Path, seed: int = 0) -> Path:
    """Write config, weights (float32), tokenizer and chat template; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    size = _write_tokenizer(folder)
    _write_config(folder, size)
    save_file(_weights(size, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _write_tokenizer(folder: Path) -> int:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=1,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "tokenizer_config.json", settings)
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    return int(tokenizer.get_vocab_size())


def _write_config(folder: Path, vocabulary: int) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "head_dim": HIDDEN // HEADS,
        "max_position_embeddings": 512,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    _write_json(folder / "config.json", config)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    _write_json(folder / "generation_config.json", ends)


def _weights(vocabulary: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    keys = HIDDEN // HEADS * KEY_HEADS
    shapes = {
        "self_attn.q_proj": (HIDDEN, HIDDEN),
        "self_attn.k_proj": (keys, HIDDEN),
        "self_attn.v_proj": (keys, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HIDDEN),
        "mlp.gate_proj": (INNER, HIDDEN),
        "mlp.up_proj": (INNER, HIDDEN),
        "mlp.down_proj": (HIDDEN, INNER),
    }
    tensors = {"model.embed_tokens.weight": (vocabulary, HIDDEN)} | {
        f"model.layers.{layer}.{name}.weight": shape
        for layer in range(LAYERS)
        for name, shape in shapes.items()
    }
    weights = {n: random.normal(0, 0.05, s).astype(np.float32) for n, s in tensors.items()}
    norms = ["model.norm"] + [
        f"model.layers.{layer}.{name}_layernorm"
        for layer in range(LAYERS)
        for name in ("input", "post_attention")
    ]
    return weights | {f"{name}.weight": np.ones(HIDDEN, np.float32) for name in norms}


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2), "utf-8")
