"""A model and its tokenizer from a folder, in the precision asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from studio.core.errors import StudioError
from studio.engine.precision import NAMES, best_device
from studio.library import chat_templates, foreign

disable_progress_bar()

Bits = Literal[32, 16, 8, 4]

_INDEX = "model.safetensors.index.json"


def load_tokenizer(folder: Path, template: str = "") -> PreTrainedTokenizerBase:
    """The folder's tokenizer, with this chat template, or else the one that the studio uses for
    the folder."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    if template:
        tokenizer.chat_template = template
    elif not tokenizer.chat_template:
        tokenizer.chat_template = chat_templates.of_model(folder).text
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    folder: Path,
    dtype: torch.dtype | None = None,
    *,
    bits: Bits = 16,
    device: torch.device | None = None,
    attention: str = "",
) -> PreTrainedModel:
    """The folder's causal language model on `device` (the best one if None), in eval mode.

    `dtype` None means the folder's own. 8 bits is LLM.int8; 4 bits is NF4 with double
    quantization, its products computed in `dtype`. `attention` names an implementation of
    transformers; without one it is the model's usual. Raises StudioError where the folder is
    incomplete or no model that transformers can build.
    """
    _refuse_incomplete(folder)
    dtype, device = dtype or stored_dtype(folder), device or best_device()
    options: dict[str, Any] = {"attn_implementation": attention} if attention else {}
    if bits in (4, 8):
        options["quantization_config"] = _quantization(bits, dtype)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        device_map={"": device},
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    model: PreTrainedModel = loaded[0]
    _refuse_gaps(folder, loaded[1])
    if bits == 4:
        never_repack(model)
    model.eval()
    return model


def stored_dtype(folder: Path) -> torch.dtype:
    """The format that the folder's config says its weights are in; float32 if it doesn't say."""
    config = _config(folder)
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    name = config.get("dtype") or config.get("torch_dtype") or (text or {}).get("dtype")
    return NAMES.get(str(name), torch.float32)


def never_repack(model: torch.nn.Module) -> int:
    """Keep bitsandbytes from repacking 4-bit weights in eval mode; returns how many layers.

    On processors with AVX512-BF16, `Linear4bit.forward` in eval mode turns its weights into a
    layout that the backward pass can't read, and leaves them so: after one evaluation all
    gradients below are zero, without an error (seen in bitsandbytes 0.50.2).
    """
    from bitsandbytes.nn.modules import Linear4bit

    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)


def _quantization(bits: Bits, dtype: torch.dtype) -> BitsAndBytesConfig:
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.exists():
        raise StudioError(
            "Not a model folder",
            f"There is no config.json in “{folder}”.",
            "Choose the folder that holds config.json, the tokenizer and the weights.",
        )
    config: dict[str, Any] = foreign.read(path)
    return config


def _refuse_incomplete(folder: Path) -> None:
    _config(folder)
    index = folder / _INDEX
    if index.exists():
        wanted = set(foreign.read(index)["weight_map"].values())
    else:
        wanted = {"model.safetensors"}
    missing = sorted(name for name in wanted if not (folder / name).exists())
    if missing:
        raise StudioError(
            "Weights are missing",
            f"“{folder}” lacks {', '.join(missing[:3])}{' and more' if missing[3:] else ''}.",
            "Download or copy the whole folder again; weights must be safetensors files.",
        )


def _refuse_gaps(folder: Path, report: dict[str, Any]) -> None:
    """transformers fills tensors that the files lack with random numbers, and only logs it."""
    gaps = sorted(str(key) for key in report["missing_keys"])
    gaps += sorted(str(entry[0]) for entry in report["mismatched_keys"])
    if gaps:
        raise StudioError(
            "Weights are incomplete",
            f"The files in “{folder}” lack {len(gaps)} tensors of the model, {gaps[0]} first.",
            "Download or copy the folder again.",
        )
