"""GGUF files for tests: the parts they need, a small model that llama.cpp's converter knows, and
ways to spoil a file that a check must notice."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import gguf
import numpy as np

from studio.client.actions import install_parts

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
HEADS, KEY_HEADS, HIDDEN, LAYERS = 4, 2, 256, 2


@functools.cache
def parts_are_there() -> None:
    """llama.cpp comes with the tests' environment, its converters are fetched once."""
    install_parts(["llama-cpp", "gguf-converters"])


def small_model(starter: Path, folder: Path) -> Path:
    """A random two-layer Llama with the starter model's tokenizer, whose splitting of words
    llama.cpp's converter knows; rows of 256, as K-quants want them."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    told = json.loads((starter / "config.json").read_text("utf-8"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=told["vocab_size"], hidden_size=HIDDEN, intermediate_size=512,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KEY_HEADS,
        max_position_embeddings=512, bos_token_id=told["bos_token_id"],
        eos_token_id=told["eos_token_id"], pad_token_id=told["pad_token_id"],
        tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copyfile(starter / name, folder / name)
    return folder


def rotate_wrongly(file: Path) -> None:
    """Put the rows of q and k back into transformers' order, as a converter would leave them that
    forgets llama.cpp's order of rotary positions. For files in 16 or 32 bits."""
    reader = gguf.GGUFReader(file, "r+")
    heads = {
        name: int(reader.get_field(f"llama.attention.{key}").contents())
        for name, key in (("attn_q", "head_count"), ("attn_k", "head_count_kv"))
    }
    for tensor in reader.tensors:
        for name, count in heads.items():
            if name in tensor.name:
                _unpermute(tensor.data, count)


def _unpermute(data: np.ndarray, heads: int) -> None:  # type: ignore[type-arg]
    rows = data.reshape(heads, data.shape[0] // heads // 2, 2, *data.shape[1:])
    data[...] = rows.swapaxes(1, 2).reshape(data.shape).copy()


def change_text(file: Path, key: str, text: str) -> None:
    """Give a text of the file's metadata another of the same or less length; blanks fill it."""
    field = gguf.GGUFReader(file, "r+").get_field(key)
    assert field is not None
    stored = field.parts[field.data[0]]
    new = text.encode("utf-8")
    assert len(new) <= len(stored), "only as long as what is there"
    stored[...] = np.frombuffer(new.ljust(len(stored)), np.uint8)


def change_number(file: Path, key: str, value: int) -> None:
    """Give a number of the file's metadata another value, for example the end token's id."""
    field = gguf.GGUFReader(file, "r+").get_field(key)
    assert field is not None
    field.parts[field.data[0]][0] = value


def rename_token(file: Path, old: str, new: str) -> None:
    """Give a token another name of the same length."""
    field = gguf.GGUFReader(file, "r+").get_field("tokenizer.ggml.tokens")
    assert field is not None
    wanted = old.encode("utf-8")
    for place in field.data:
        if bytes(field.parts[place]) == wanted:
            field.parts[place][...] = np.frombuffer(new.encode("utf-8"), np.uint8)
