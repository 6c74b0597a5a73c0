"""A GGUF file of a tiny model folder, written as llama.cpp's own converter would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

Quantization = gguf.GGMLQuantizationType


def write(
    model: Path,
    file: Path,
    *,
    quantization: Quantization = Quantization.F32,
    architecture: str = "llama",
    leave_out: tuple[str, ...] = (),
    tokenizer: bool = True,
    splits: str = "default",
    parts: int = 1,
) -> Path:
    """Write `model` (a float32 folder) as one GGUF file; an unknown architecture is written like
    a Llama. `leave_out` names tensors as GGUF calls them."""
    config = json.loads((model / "config.json").read_text("utf-8"))
    writer = gguf.GGUFWriter(file, architecture)
    _write_config(writer, config)
    if parts > 1:
        writer.add_uint16("split.count", parts)
    if tokenizer:
        _write_tokenizer(writer, model, config, splits)
    for name, array in _tensors(model, config, architecture).items():
        if name not in leave_out:
            kind = quantization if array.ndim == 2 else Quantization.F32
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _write_config(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_name("Tiny")
    writer.add_license("cc0-1.0")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_vocab_size(config["vocab_size"])


def _write_tokenizer(
    writer: gguf.GGUFWriter, model: Path, config: dict[str, Any], splits: str
) -> None:
    whole = json.loads((model / "tokenizer.json").read_text("utf-8"))
    tokens = sorted(whole["model"]["vocab"], key=whole["model"]["vocab"].__getitem__)
    special = {added["content"] for added in whole["added_tokens"]}
    merges = [m if isinstance(m, str) else " ".join(m) for m in whole["model"]["merges"]]
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(splits)
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.CONTROL if t in special else kinds.NORMAL for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((model / "chat_template.jinja").read_text("utf-8"))


def _tensors(model: Path, config: dict[str, Any], architecture: str) -> dict[str, np.ndarray]:
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    kind = kinds.get(architecture, gguf.MODEL_ARCH.LLAMA)
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    found = {}
    for name, array in load_file(model / "model.safetensors").items():
        count = heads.get(name.split(".")[-2]) if kind == gguf.MODEL_ARCH.LLAMA else None
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert written is not None
        found[written] = _permuted(array, count) if count else array
    return found


def _permuted(array: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp keeps the halves of a rotary pair side by side."""
    rows, columns = array.shape
    halves = array.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
