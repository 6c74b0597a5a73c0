"""The weight files of a model folder: which they are, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.core.problem import Problem
from studio.library import foreign
from studio.library.models import tensors as reader
from studio.library.models.tensors import Tensor, Unreadable

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")

_DTYPES = {
    "BF16": "bfloat16",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8",
    "F8_E5M2": "float8",
}
_USUAL_ORDER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_NUMBERED = re.compile(r"\.\d+\.")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")
_CONV1D_MODELS = ("gpt2", "openai-gpt")
_CONV1D = ("c_attn", "q_attn", "c_proj", "c_fc")
_NO_LINEAR = re.compile(r"embed|norm|^ln|^wte$|^wpe$|rotary|relative_attention_bias|conv", re.I)


def read(folder: Path) -> tuple[dict[str, Tensor], list[Problem]]:
    """All tensors of the folder by name, and what is wrong with its weight files."""
    files, problems = _files(folder)
    found: dict[str, Tensor] = {}
    for file in files:
        try:
            found |= {tensor.name: tensor for tensor in reader.read(file)}
        except PermissionError:
            text = f"{file.name} may not be read by this user."
            problems.append(_problem(text, "Change its permissions, or copy the folder."))
        except (Unreadable, OSError) as error:
            text = f"{file.name} is damaged: {error}."
            problems.append(_problem(text, "Copy or download the file again."))
    return found, problems


def count(tensors: Mapping[str, Tensor]) -> int:
    """How many numbers the tensors hold."""
    return sum(tensor.numbers for tensor in tensors.values())


def size(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of all tensors."""
    return sum(tensor.bytes for tensor in tensors.values())


def dtype(tensors: Mapping[str, Tensor]) -> str:
    """The type that most bytes have, as torch spells it."""
    sizes: dict[str, int] = {}
    for tensor in tensors.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.bytes
    most = max(sizes, key=lambda name: sizes[name], default="")
    return _DTYPES.get(most, most.lower())


def linear_modules(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The last names of the linear layers inside numbered blocks, experts and routers aside.

    Experts are stored apart and loaded as one three-dimensional weight, which no adapter takes.
    """
    experts = any(".experts." in name for name in tensors)
    found: set[str] = set()
    for name, tensor in tensors.items():
        last = name.removesuffix(".weight").rpartition(".")[2]
        linear = name.endswith(".weight") and len(tensor.shape) == 2 and _NUMBERED.search(name)
        if not linear or ".experts." in name or _NO_LINEAR.search(last):
            continue
        if not (experts and last in {"gate", "router"}):
            found.add(last)
    return tuple(sorted(found, key=lambda last: (_place(last), last)))


def stored_transposed(model_type: str, module: str) -> bool:
    """Whether this layer keeps its weight in x out, as transformers' Conv1D does.

    The module's class decides, not an adapter's `fan_in_fan_out`: PEFT sets that by the class,
    and writes what the last layer that it saw made of it.
    """
    return model_type in _CONV1D_MODELS and module.rsplit(".", 1)[-1] in _CONV1D


def _place(module: str) -> int:
    return _USUAL_ORDER.index(module) if module in _USUAL_ORDER else len(_USUAL_ORDER)


def missing_layers(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    """How many of the layers that the config promises have no weights at all."""
    promised = config.get("num_hidden_layers") or config.get("n_layer")
    indices = {int(match[1]) for name in tensors if (match := _LAYER.search(name))}
    if not isinstance(promised, int) or not indices:
        return 0
    return max(0, promised - len(indices))


def _files(folder: Path) -> tuple[list[Path], list[Problem]]:
    if (folder / SINGLE).is_file():
        return [folder / SINGLE], []
    if (folder / INDEX).is_file():
        return _shards(folder)
    return [], [_no_weights(folder)]


def _shards(folder: Path) -> tuple[list[Path], list[Problem]]:
    try:
        index = foreign.read(folder / INDEX)
        names = sorted({str(name) for name in index["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], [_problem(f"{INDEX} can't be read.", "Copy or download the folder again.")]
    strange = [name for name in names if Path(name).name != name]
    if strange:
        text = f"{INDEX} names a file outside the folder ({strange[0]})."
        return [], [_problem(text, "Get the model from a source you trust.")]
    there = [folder / name for name in names if (folder / name).is_file()]
    return there, _missing(names, there)


def _missing(names: list[str], there: list[Path]) -> list[Problem]:
    missing = sorted(set(names) - {file.name for file in there})
    if not missing:
        return []
    shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
    text = f"{len(missing)} of {len(names)} weight files are missing: {shown}."
    return [_problem(text, "Copy or download the missing files into the folder.")]


def something_else(folder: Path) -> Problem | None:
    """What the folder holds in place of a model, where that can be told."""
    if (folder / "adapter_config.json").is_file():
        return _problem(
            "This folder holds an adapter, not a model.",
            "Import it on the Library page, and pick its base model here.",
        )
    if any(folder.glob("*.gguf")):
        return _problem(
            "This folder holds GGUF files, and no safetensors.", "Import the GGUF file first."
        )
    return None


def _no_weights(folder: Path) -> Problem:
    if other := something_else(folder):
        return other
    if any(file.suffix.lower() in PICKLED for file in folder.iterdir()):
        return _problem(
            "The weights are only there as pickled files, which can run code when opened.",
            "Look for a safetensors version of the model, or have someone who trusts the files "
            "load them with transformers and save them again with save_pretrained().",
        )
    return _problem(
        f"The folder holds no weights ({SINGLE} or {INDEX}).", "Copy or download the folder again."
    )


def _problem(text: str, fix: str) -> Problem:
    return Problem(field="model", text=text, fix=fix)
