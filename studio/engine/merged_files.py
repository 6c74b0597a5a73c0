"""What lies beside the weights of a merged model: settings, tokenizer, licence, model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from studio.library import adapters
from studio.library.adapters import AdapterFacts
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
    base: Path, adapter: Path, folder: Path, *, name: str, dtype: torch.dtype | None,
    said: Mapping[str, object],
) -> None:  # fmt: skip
    """Fill a folder of merged weights so that plain transformers loads it.

    Nothing of the base that could run (code, pickles) is copied. The adapter's chat template
    goes before the base's, since it was trained with it, and its tokenizer where the vocabulary
    is no longer the base's. `said` are the settings of config.json that the merge changed.
    """
    if "vocab_size" in said:
        for file in sorted(adapter.glob("*token*.json")):
            shutil.copyfile(file, folder / file.name)
    for file in sorted(base.iterdir()):
        if _belongs(file) and not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)
    if (adapter / _TEMPLATE).is_file():
        shutil.copyfile(adapter / _TEMPLATE, folder / _TEMPLATE)
    _write_config(base, folder, dtype, said)
    _write_index(base, folder)
    known, licence = adapters.facts(adapter), inspect(base).licence
    write_whole(folder / "README.md", _card(name, base.name, known, licence))
    write_whole(folder / NOTE, json.dumps({"name": name, "licence": licence}))


def _belongs(file: Path) -> bool:
    if not file.is_file() or file.name in _LEFT_BEHIND or file.stat().st_size > _LARGEST_BYTES:
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
        config.pop("torch_dtype", None)
        config["dtype"] = str(dtype).removeprefix("torch.")
    write_whole(path, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def _write_index(base: Path, folder: Path) -> None:
    if not (base / _INDEX).is_file():
        return
    tensors = [tensor for file in sorted(folder.glob("*.safetensors")) for tensor in read(file)]
    index = _json(base / _INDEX)
    index["weight_map"] = {tensor.name: tensor.file.name for tensor in tensors}
    index["metadata"] = {"total_size": sum(tensor.bytes for tensor in tensors)}
    write_whole(folder / _INDEX, json.dumps(index, indent=2) + "\n")


def _card(name: str, base: str, known: AdapterFacts, licence: str) -> str:
    front = f"license: {licence}\n" if licence else ""
    dataset = Path(known.dataset).name
    trained = f" It was trained on the dataset {dataset}." if dataset else ""
    return (
        f"---\n{front}library_name: transformers\npipeline_tag: text-generation\n---\n\n"
        f"# {name}\n\n"
        f"{base} with the adapter {known.name} merged in ({known.method}, rank {known.rank}, "
        f"alpha {known.alpha:g}).{trained} Made with Finetune Studio.\n\n"
        "```python\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f'model = AutoModelForCausalLM.from_pretrained("{name}")\n'
        f'tokenizer = AutoTokenizer.from_pretrained("{name}")\n'
        "```\n\n"
        "passport.json, where it is there, holds how closely this model agrees with the adapter\n"
        "it came from. The base's licence applies.\n"
    )


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
