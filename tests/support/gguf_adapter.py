"""A PEFT adapter as llama.cpp's converter writes it: one GGUF file."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

Quantization = gguf.GGMLQuantizationType


def write(
    adapter: Path,
    model: Path,
    file: Path,
    *,
    architecture: str = "llama",
    quantization: Quantization = Quantization.F32,
    alpha: float | None = None,
    kind: str = "adapter",
    method: str = "lora",
    leave_out: str = "?",
) -> Path:
    """Write `adapter` (on `model`) as GGUF. q and k of a Llama have their rows in llama.cpp's
    order, and A of the embeddings lies on its side, as `convert_lora_to_gguf.py` does it."""
    settings = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    config = json.loads((model / "config.json").read_text("utf-8"))
    kinds = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], config["num_hidden_layers"])
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_type(kind)
    writer.add_string("adapter.type", method)
    writer.add_float32("adapter.lora.alpha", settings["lora_alpha"] if alpha is None else alpha)
    for key, tensor in load_file(adapter / "adapter_model.safetensors").items():
        stem, _, half = key.removeprefix("base_model.model.").partition(".lora_")
        half = half.removesuffix(".weight").removeprefix("embedding_").lower()
        name = names.get_name(f"{stem}.weight", try_suffixes=(".weight",))
        array = _turned(tensor, name, half, config, architecture == "llama")
        if leave_out not in f"{name}.lora_{half}":
            data = gguf.quants.quantize(np.ascontiguousarray(array), quantization)
            writer.add_tensor(f"{name}.lora_{half}", data, raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _turned(
    tensor: np.ndarray, name: str, half: str, config: dict[str, int], reordered: bool
) -> np.ndarray:
    if name == "token_embd.weight" and half == "a":
        return tensor.T
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    last = name.split(".")[-2] if name.count(".") > 1 else ""
    if not reordered or half != "b" or last not in heads:
        return tensor
    count, (rows, rank) = config[heads[last]], tensor.shape
    return tensor.reshape(count, 2, rows // count // 2, rank).swapaxes(1, 2).reshape(rows, rank)
