"""A LoRA adapter as GGUF: what llama.cpp can express of it, with its strength made the file's.

llama.cpp adds alpha / rank x B @ A, one alpha for all and the rank of each pair. Where PEFT scales
otherwise (rsLoRA, patterns of alpha) the difference goes into B.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from studio.core.errors import StudioError
from studio.engine import adapter_changes
from studio.engine.adapter_changes import Change
from studio.engine.llama_cpp import convert
from studio.library import adapter_files
from studio.library.models import config_of, weights

SHARE = 0.2
"""Of the work: reading and scaling; the converter takes the rest."""


def write(adapter: Path, base: Path, out: Path, tick: convert.Tick) -> None:
    """Write the adapter as GGUF at `out`. Raises StudioError, naming it, for what llama.cpp has no
    form for."""
    found = changes(adapter, base)
    with tempfile.TemporaryDirectory(dir=out.parent, ignore_cleanup_errors=True) as scratch:
        staged = Path(scratch)
        _stage(adapter, found, staged, tick)
        convert.adapter(staged, base, out, tick=lambda share: tick(SHARE + share * (1 - SHARE)))


def changes(adapter: Path, base: Path) -> dict[str, Change]:
    """What the adapter does, tensor by tensor; refused where llama.cpp can't do the same."""
    tensors, config = weights.read(base)[0], config_of(base)
    tied = bool(config.get("tie_word_embeddings", False))
    found = adapter_changes.changes(adapter, tensors, tied=tied)
    for name, change in found.items():
        if what := _beyond(change):
            raise _refused(f"{name} {what}")
        if name not in tensors:
            raise _refused(f"the head, {name}, is the token embeddings in this model")
    return found


def _beyond(change: Change) -> str:
    """Why llama.cpp has no form for a change; "" where it has one."""
    if change.whole:
        return "was trained as a whole (modules_to_save or a new vocabulary)"
    if change.magnitude:
        return "uses DoRA"
    if change.bias:
        return "has a trained bias"
    if change.rows:
        return "has trained token embeddings"
    return "is changed transposed" if change.flipped else ""


def _stage(adapter: Path, found: dict[str, Change], folder: Path, tick: convert.Tick) -> None:
    """A plain adapter of the same effect, whose scale is alpha / rank everywhere."""
    alpha = adapter_files.read_config(adapter).alpha
    tensors: dict[str, torch.Tensor] = {}
    with safe_open(adapter / adapter_files.WEIGHTS, "pt") as parts:
        for number, (name, change) in enumerate(found.items()):
            a, b = parts.get_tensor(change.a), parts.get_tensor(change.b)
            more = change.scale * a.shape[0] / alpha
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            tensors[f"{stem}.lora_A.weight"] = a.float().contiguous()
            tensors[f"{stem}.lora_B.weight"] = (b.float() * more).contiguous()
            tick(SHARE * number / len(found))
    save_file(tensors, folder / adapter_files.WEIGHTS)
    config = {"peft_type": "LORA", "lora_alpha": alpha, "r": 1, "base_model_name_or_path": ""}
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")


def _refused(what: str) -> StudioError:
    return StudioError(
        "An adapter that GGUF can't hold",
        f"llama.cpp adds plain LoRA alone, and {what}.",
        "Export the merged model as GGUF instead.",
    )
