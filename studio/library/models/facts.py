"""What a model folder holds and what is wrong with it, from its config and headers alone."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from studio.core.facts import ModelFacts
from studio.core.problem import Problem
from studio.library import foreign, resources
from studio.library.models import digest, weights
from studio.library.models.tensors import Tensor

NOTE = "studio.json"
"""What the studio writes beside a model that it fetched or made: where it came from."""

_OLD_TOKENIZERS = ("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
_README_BYTES = 1 << 20


def inspect(folder: Path) -> ModelFacts:
    """The facts of a model folder. What is wrong with it is in `problems`, never raised."""
    try:
        return _inspect(folder)
    except OSError as error:
        text = f"{folder} can't be read ({error.strerror or error})."
        problem = _problem(text, "Pick a folder that belongs to you.")
        return ModelFacts(path=str(folder), name=folder.name, problems=(problem,))


def _inspect(folder: Path) -> ModelFacts:
    unreadable = _not_a_folder(folder) or _read_config(folder)
    if isinstance(unreadable, Problem):
        return ModelFacts(path=str(folder), name=_name(folder), problems=(unreadable,))
    config, (tensors, problems) = unreadable, weights.read(folder)
    problems += _of_config(config) + _of_tokenizer(folder) + _of_layers(config, tensors)
    return ModelFacts(
        path=str(folder),
        name=_name(folder),
        architecture=_architecture(config),
        model_type=str(config.get("model_type", "")),
        config=config,
        parameters=weights.count(tensors) - _counted_twice(config, tensors),
        tensor_bytes=weights.size(tensors),
        dtype=weights.dtype(tensors),
        context_length=_context_length(config),
        licence=_licence(folder),
        has_chat_template=_has_chat_template(folder),
        linear_modules=weights.linear_modules(tensors),
        digest=digest.of(config, tensors) if tensors else "",
        problems=tuple(problems),
    )


def errors(facts: ModelFacts) -> list[Problem]:
    """The problems that keep the model from being used."""
    return [problem for problem in facts.problems if problem.severity == "error"]


def usable(folder: Path) -> bool:
    """Whether a whole model lies in this folder."""
    return folder.is_dir() and not errors(inspect(folder))


def config_of(folder: Path) -> dict[str, Any]:
    """config.json, or nothing where it can't be read."""
    config = _read_config(folder)
    return {} if isinstance(config, Problem) else config


def note_of(folder: Path) -> dict[str, Any]:
    """studio.json of a model folder, or nothing."""
    return _json(folder / NOTE)


@functools.cache
def known_architectures() -> dict[str, list[str]]:
    """Model types that the studio can train, each with its classes in transformers."""
    text = resources.path("models", "architectures.json").read_text(encoding="utf-8")
    known: dict[str, list[str]] = json.loads(text)["causal-lm"]
    return known


def _not_a_folder(path: Path) -> Problem | None:
    if path.is_dir():
        return None
    if path.is_file() and path.suffix.lower() == ".gguf":
        return _problem("This is a GGUF file, not a model folder.", "Import it first.")
    if path.exists():
        return _problem(f"{path} is not a model folder.", "Pick the folder with config.json in it.")
    return _problem(f"There is no folder {path}.", "Pick a model folder that exists.")


def _read_config(folder: Path) -> dict[str, Any] | Problem:
    path = folder / "config.json"
    if not path.is_file():
        return weights.something_else(folder) or _problem(
            "The folder holds no config.json.", "Pick the folder that config.json lies in."
        )
    config = _json(path)
    return config or _problem("config.json can't be read.", "Copy or download the folder again.")


def _of_config(config: Mapping[str, Any]) -> list[Problem]:
    kind, architecture = str(config.get("model_type", "")), _architecture(config)
    known = known_architectures()
    if config.get("auto_map"):
        return [_wants_own_code(kind in known)]
    if kind not in known:
        text = f"The architecture {architecture or kind or 'of this model'} is unknown here."
        return [_problem(text, "Pick a language model that this version of transformers knows.")]
    if architecture and architecture not in known[kind]:
        text = f"This is a {architecture}, not a language model that continues a text."
        return [_problem(text, f"Pick a model of the kind {known[kind][0]}.")]
    if quantized := config.get("quantization_config"):
        how = quantized.get("quant_method", "") if isinstance(quantized, dict) else ""
        return [
            _problem(
                f"The weights are stored quantized ({how or 'unknown method'}).",
                "Pick the 16-bit original; the studio quantizes it itself for QLoRA.",
            )
        ]
    return []


def _wants_own_code(known: bool) -> Problem:
    other = " transformers knows this kind of model itself: look for a copy without auto_map."
    return _problem(
        "The model brings its own code (auto_map in config.json), which this version never runs.",
        "Pick a model that works without its own code." + (other if known else ""),
    )


def _of_tokenizer(folder: Path) -> list[Problem]:
    if (folder / "tokenizer.json").is_file():
        return []
    if any((folder / name).is_file() for name in _OLD_TOKENIZERS):
        return [
            _problem(
                "The tokenizer is there only in its older form, without tokenizer.json.",
                "Add tokenizer.json: load it with transformers' AutoTokenizer and save it again.",
            )
        ]
    return [
        _problem("The folder holds no tokenizer (tokenizer.json).", "Copy or download it as well.")
    ]


def _of_layers(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Problem]:
    missing = weights.missing_layers(config, tensors)
    if not missing:
        return []
    text = f"{missing} of the {config.get('num_hidden_layers', '')} layers have no weights."
    return [_problem(text, "Copy or download the folder again.")]


def _counted_twice(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    head = tensors.get("lm_head.weight")
    if head is None or not config.get("tie_word_embeddings"):
        return 0
    return weights.count({"lm_head.weight": head})


def _architecture(config: Mapping[str, Any]) -> str:
    named = config.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""


def _context_length(config: Mapping[str, Any]) -> int:
    nested = config.get("text_config")
    for part in (config, nested if isinstance(nested, Mapping) else {}):
        for key in _LENGTHS:
            if isinstance(length := part.get(key), int):
                return length
    return 0


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    return bool(_json(folder / "tokenizer_config.json").get("chat_template"))


def _licence(folder: Path) -> str:
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            text = file.read(_README_BYTES)
    except OSError:
        return str(note_of(folder).get("licence", ""))
    parts = text.split("---", 2)
    try:
        front = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except yaml.YAMLError:
        return ""
    return str(front.get("license") or "") if isinstance(front, dict) else ""


def _name(folder: Path) -> str:
    if name := note_of(folder).get("name"):
        return str(name)
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return folder.name


def _json(path: Path) -> dict[str, Any]:
    try:
        value = foreign.read(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _problem(text: str, fix: str) -> Problem:
    return Problem(field="model", text=text, fix=fix)
