"""A GGUF adapter of llama.cpp read back into PEFT's form.

Names are found through those of the base, and the rows of q and k that llama.cpp keeps in another
order (its converter's `permute`, for Llama and its kin) are put back; for both the base is needed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.library import adapter_files, models
from studio.library.adapters import bases
from studio.library.folders import Home
from studio.library.models import weights
from studio.library.models.tensors import Tensor, write

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFReader

_IN_ORDER = {
    "gemma": ("gemma",),
    "gemma2": ("gemma2",),
    "gemma3": ("gemma3", "gemma3_text"),
    "olmo2": ("olmo2",),
    "phi3": ("phi3",),
    "qwen2": ("qwen2",),
    "qwen3": ("qwen3",),
    "smollm3": ("smollm3",),
    "starcoder2": ("starcoder2",),
}
_REORDERED = {"arcee": ("arcee",), "granite": ("granite",), "llama": ("llama", "mistral")}
_TYPES = _IN_ORDER | _REORDERED
"""llama.cpp's names of architectures, and transformers' model types that they stand for."""


@dataclass(frozen=True)
class _Pair:
    """A and B of one weight, as the file has them: A is rank x in, B is out x rank."""

    a: np.ndarray[Any, Any]
    b: np.ndarray[Any, Any]


@dataclass(frozen=True)
class _File:
    """What a GGUF adapter says. An alpha of 0 stands for the rank, as it does in llama.cpp."""

    source: Path
    architecture: str
    alpha: float
    bases: tuple[str, ...]
    pairs: Mapping[str, _Pair]


def convert(home: Home, source: Path, folder: Path, base: Path | None = None) -> Path:
    """Write a GGUF adapter as a PEFT folder; returns the folder.

    Without `base` the models of this machine are tried. Raises StudioError where the file is no
    LoRA adapter that can be read, and BaseMissing where its base isn't known.
    """
    file = _read(source)
    model = _chosen(home, file) if base is None else models.inspect(base)
    if base is not None and not _suits(file, model):
        raise StudioError(
            "An adapter made for another base",
            f"{source.name} doesn't fit the model {base.name}: {_misfit(file, model)}.",
            "Choose the model that the adapter was trained on.",
        )
    _write(folder, file, model)
    return folder


def _read(source: Path) -> _File:
    reader = _open(source)
    kind, method = _value(reader, "general.type"), _value(reader, "adapter.type")
    if kind != "adapter":
        raise StudioError(
            "A model, not an adapter",
            f"{source.name} holds a whole model.",
            "Import it as a model on the Model step of New run.",
        )
    architecture = str(_value(reader, "general.architecture") or "")
    if method != "lora" or _value(reader, "adapter.alora.invocation_tokens"):
        raise _unusual(source, f"it is of the kind {method or 'unknown'}, not a plain LoRA")
    if architecture not in _TYPES:
        raise _unusual(
            source, f"how llama.cpp arranges the weights of {architecture or 'it'} isn't known here"
        )
    return _File(
        source=source,
        architecture=architecture,
        alpha=float(_value(reader, "adapter.lora.alpha") or 0.0),
        bases=_base_names(reader),
        pairs=_pairs(source, reader),
    )


def _open(source: Path) -> GGUFReader:
    from gguf import GGUFReader

    with source.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise StudioError(
                "Not a GGUF file",
                f"{source.name} does not begin like a GGUF file.",
                "Choose a GGUF adapter, or a PEFT folder.",
            )
    try:
        return GGUFReader(source)
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise _damaged(source, "is cut short or damaged") from error


def _base_names(reader: GGUFReader) -> tuple[str, ...]:
    """What the base may be called, the surest first."""
    found = []
    for number in range(min(8, int(_value(reader, "general.base_model.count") or 0))):
        stem = f"general.base_model.{number}"
        url = str(_value(reader, f"{stem}.repo_url") or "")
        found += [url.removeprefix("https://huggingface.co/"), _value(reader, f"{stem}.name")]
    found.append(_value(reader, "general.name"))
    return tuple(str(name) for name in found if name)


def _pairs(source: Path, reader: GGUFReader) -> dict[str, _Pair]:
    halves: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for tensor in reader.tensors:
        name, _, half = tensor.name.rpartition(".")
        if half in ("lora_a", "lora_b"):
            halves.setdefault(name, {})[half] = _plain(source, tensor)
        elif "_norm" not in tensor.name:  # llama.cpp passes over norms as well
            raise _unusual(source, f"it holds {tensor.name}, which is no part of a LoRA")
    found = {}
    for name, each in halves.items():
        if set(each) != {"lora_a", "lora_b"} or any(half.ndim != 2 for half in each.values()):
            raise _damaged(source, f"lacks one half of the weights of {name}")
        a = each["lora_a"].T if name == "token_embd.weight" else each["lora_a"]
        if a.shape[0] != each["lora_b"].shape[1] or not a.shape[0]:
            raise _damaged(source, f"has weights of {name} whose ranks differ")
        found[name] = _Pair(a, each["lora_b"])
    if not found:
        raise _damaged(source, "holds no weights")
    return found


def _plain(source: Path, tensor: Any) -> np.ndarray[Any, Any]:
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType(tensor.tensor_type)
    if kind in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
        return np.array(tensor.data)
    try:
        return quants.dequantize(tensor.data, kind)
    except NotImplementedError as error:
        why = f"its weights are stored as {kind.name}, which isn't unpacked here"
        raise _unusual(source, why) from error


def _chosen(home: Home, file: _File) -> ModelFacts:
    """The one model of this machine that the adapter can belong on: by name where several can."""
    fitting = [model for model in bases.known_models(home) if _suits(file, model)]
    contents = {model.digest: model for model in fitting}
    if len(contents) == 1:
        return fitting[0]
    for name in file.bases:
        for model in fitting:
            if bases.called(model, name):
                return model
    named = file.bases[0] if file.bases else ""
    several = ", ".join(model.name for model in contents.values())
    raise bases.BaseMissing(
        "Which base?",
        f"{file.source.name} is an adapter for {named or 'a model that it does not name'}, and "
        + (f"several models here would fit ({several})." if several else "no model here fits."),
        "Name the folder of the model that it was trained on.",
    )


def _suits(file: _File, model: ModelFacts) -> bool:
    return not models.errors(model) and not _misfit(file, model)


def _misfit(file: _File, model: ModelFacts) -> str:
    """Why the adapter can't belong on this model, "" if it can."""
    if model.model_type not in _TYPES[file.architecture]:
        return f"the adapter is for {file.architecture}, the model is {model.model_type or 'none'}"
    known = _names(file, model)
    for name, pair in file.pairs.items():
        tensor = known.get(name)
        if tensor is None:
            return f"the model has no {name}"
        shape = (pair.b.shape[0], pair.a.shape[1])
        if name == "token_embd.weight":
            shape = shape[::-1]
        if shape != tensor.shape:
            return f"{name} is {shape} in the adapter and {tensor.shape} in the model"
    return ""


def _names(file: _File, model: ModelFacts) -> dict[str, Tensor]:
    """The base's tensors by the names that llama.cpp gives them."""
    import gguf

    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    layers = int(model.config.get("num_hidden_layers") or 0)
    map_ = gguf.get_tensor_name_map(kinds[file.architecture], layers)
    found: dict[str, Tensor] = {}
    for name, tensor in weights.read(Path(model.path))[0].items():
        if translated := map_.get_name(name, try_suffixes=(".weight",)):
            found[translated] = tensor
    if "output.weight" not in found and "token_embd.weight" in found:
        tied = found["token_embd.weight"]
        found["output.weight"] = Tensor(
            "lm_head.weight", tied.dtype, tied.shape, tied.file, tied.begin, tied.end
        )
    return found


def _write(folder: Path, file: _File, model: ModelFacts) -> None:
    known = _names(file, model)
    tensors: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    ranks: dict[str, int] = {}
    for name, pair in file.pairs.items():
        module = known[name].name.removesuffix(".weight")
        a, b = ("lora_A.weight", "lora_B.weight")
        if name == "token_embd.weight":
            a, b = ("lora_embedding_A", "lora_embedding_B")
        stem = f"{adapter_files.PREFIX}{module}."
        tensors[stem + a] = _stored(pair.a)
        tensors[stem + b] = _stored(_in_order(file, model, module, pair.b))
        ranks[module] = int(pair.a.shape[0])
    folder.mkdir(parents=True)
    write(folder / adapter_files.WEIGHTS, tensors)
    settings = json.dumps(_settings(file, model, ranks), indent=2)
    (folder / adapter_files.CONFIG).write_text(settings, "utf-8")


def _stored(array: np.ndarray[Any, Any]) -> tuple[str, tuple[int, ...], bytes]:
    kind = {2: "F16", 4: "F32"}[array.itemsize]
    return kind, array.shape, array.astype(array.dtype.newbyteorder("<")).tobytes()


def _in_order(
    file: _File, model: ModelFacts, module: str, b: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """B with its rows as transformers has them: llama.cpp puts the two halves of each rotated
    head between each other."""
    last = module.rsplit(".", 1)[-1]
    if file.architecture not in _REORDERED or last not in ("q_proj", "k_proj"):
        return b
    heads = int(model.config["num_attention_heads"])
    if last == "k_proj":
        heads = int(model.config.get("num_key_value_heads") or heads)
    rows, rank = b.shape
    return b.reshape(heads, rows // heads // 2, 2, rank).swapaxes(1, 2).reshape(rows, rank)


def _settings(file: _File, model: ModelFacts, ranks: Mapping[str, int]) -> dict[str, Any]:
    rank = Counter(ranks.values()).most_common(1)[0][0]
    others = {module: each for module, each in ranks.items() if each != rank}
    alphas = {} if file.alpha else {module: float(each) for module, each in others.items()}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.name,
        "r": rank,
        "lora_alpha": file.alpha or float(rank),
        "rank_pattern": others,
        "alpha_pattern": alphas,
        "target_modules": _targets(set(ranks), model),
        "inference_mode": True,
    }


def _targets(modules: set[str], model: ModelFacts) -> list[str]:
    """The last names of the modules where they stand for exactly these, else whole names."""
    every = {name.removesuffix(".weight") for name in weights.read(Path(model.path))[0]}
    lasts = {module.rsplit(".", 1)[-1] for module in modules}
    meant = {name for name in every if name.rsplit(".", 1)[-1] in lasts}
    return sorted(lasts if meant <= modules else modules)


def _value(reader: GGUFReader, key: str) -> Any:
    found = reader.get_field(key)
    return None if found is None else found.contents()


def _unusual(source: Path, why: str) -> StudioError:
    return StudioError(
        "A GGUF adapter that can't be read back",
        f"{source.name} can't be turned into a PEFT adapter: {why}.",
        "Import the PEFT folder that it was made from.",
    )


def _damaged(source: Path, why: str) -> StudioError:
    return StudioError(
        "Damaged adapter", f"{source.name} {why}.", "Copy or download the adapter again."
    )
