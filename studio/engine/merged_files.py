"""What lies beside the weights of a merged model: settings, tokenizer, licence, model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from studio.engine import ends
from studio.engine.export import cards
from studio.library import foreign
from studio.library.files import write_whole
from studio.library.models import inspect
from studio.library.models.facts import NOTE
from studio.library.models.tensors import read

_INDEX = "model.safetensors.index.json"
_TEMPLATE = "chat_template.jinja"
_KINDS = (".json", ".jinja", ".model", ".txt", ".tiktoken")
_LEGAL = ("license", "licence", "notice", "use_policy", "copying")
_LEFT_BEHIND = {NOTE, _INDEX, "config.json", "passport.json", "adapter_config.json"}
_LARGEST_BYTES = 256 * 2**20


def write(
    base: Path, adapter: Path | None, folder: Path, *, name: str, dtype: torch.dtype | None,
    said: Mapping[str, object],
) -> None:  # fmt: skip
    """Fill a folder of merged weights so that plain transformers loads it.

    Nothing of the base that could run (code, pickles) is copied. The adapter's chat template
    goes before the base's, since it was trained with it, and its tokenizer where the vocabulary
    is no longer the base's. `said` are the settings of config.json that the merge changed.
    """
    if adapter and "vocab_size" in said:
        for file in sorted(adapter.glob("*token*.json")):
            shutil.copyfile(file, folder / file.name)
    _write_config(base, folder, dtype, said)
    copy_beside(base, adapter, folder)
    _write_index(base, folder)
    write_whole(folder / NOTE, json.dumps({"name": name, "licence": inspect(base).licence}))
    loads = ["from transformers import AutoModelForCausalLM, AutoTokenizer", ""]
    loads += [f'{part} = Auto{kind}.from_pretrained("{name}")' for part, kind in _PARTS]
    cards.write(
        folder, name=name, model=base, adapter=adapter, what=f"{what(base, adapter)}.", usage=loads
    )


def what(base: Path, adapter: Path | None) -> str:
    """What the folder holds, in words."""
    return f"{base.name} with an adapter merged in" if adapter else base.name


def copy_beside(base: Path, adapter: Path | None, folder: Path) -> None:
    """Bring tokenizer, template, generation settings and licence to weights and a config."""
    for file in sorted(base.iterdir()):
        if _belongs(file) and not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)
    if adapter and (adapter / _TEMPLATE).is_file():
        shutil.copyfile(adapter / _TEMPLATE, folder / _TEMPLATE)
    _write_ends(folder)


_PARTS = (("model", "ModelForCausalLM"), ("tokenizer", "Tokenizer"))


def _belongs(file: Path) -> bool:
    if not file.is_file() or file.name in _LEFT_BEHIND or file.stat().st_size > _LARGEST_BYTES:
        return False
    if not foreign.stays(file):
        return False
    if file.name.endswith(".index.json"):
        return False
    return file.suffix.lower() in _KINDS or file.name.lower().startswith(_LEGAL)


def _write_config(
    base: Path, folder: Path, dtype: torch.dtype | None, said: Mapping[str, object]
) -> None:
    path = folder / "config.json"
    config = _json(base / "config.json")
    for part in (config, config.get("text_config")):
        if isinstance(part, dict):
            part.update({key: value for key, value in said.items() if key in part})
    config.update(said)
    if dtype is not None:
        _say_dtype(config, str(dtype).removeprefix("torch."))
    write_whole(path, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def _say_dtype(config: dict[str, Any], name: str) -> None:
    config.pop("torch_dtype", None)
    config["dtype"] = name
    for part in config.values():
        if isinstance(part, dict) and {"dtype", "torch_dtype"} & set(part):
            _say_dtype(part, name)


def _write_index(base: Path, folder: Path) -> None:
    if not (base / _INDEX).is_file():
        return
    tensors = [tensor for file in sorted(folder.glob("*.safetensors")) for tensor in read(file)]
    index = _json(base / _INDEX)
    index["weight_map"] = {tensor.name: tensor.file.name for tensor in tensors}
    index["metadata"] = {"total_size": sum(tensor.bytes for tensor in tensors)}
    write_whole(folder / _INDEX, json.dumps(index, indent=2) + "\n")


def _write_ends(folder: Path) -> None:
    """Name the token that ends a turn in the generation settings: without it an answer runs on in
    every program that reads no chat template."""
    path = folder / "generation_config.json"
    settings = _json(path) if path.is_file() else {}
    config = _json(folder / "config.json")
    named = settings.get("eos_token_id", config.get("eos_token_id"))
    known = [] if named is None else named if isinstance(named, list) else [named]
    missing = sorted(ends.of_folder(folder) - set(known))
    if missing:
        settings["eos_token_id"] = [*known, *missing]
        write_whole(path, json.dumps(settings, indent=2) + "\n")


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = foreign.read(path)
    return content
