"""Whether an adapter's weights are those that its settings speak of. Headers alone are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.library import adapter_files
from studio.library.adapter_files import AdapterConfig
from studio.library.models.tensors import Tensor

EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings", "tok_embeddings")
FLOATS = ("F64", "F32", "F16", "BF16")
_FIX = "Save the adapter again where it was made, with peft's save_pretrained."


@dataclass
class _Module:
    """The parts that the file has for one module of the base, by their names in PEFT."""

    name: str
    parts: dict[str, Tensor] = field(default_factory=dict)

    @property
    def pair(self) -> tuple[Tensor | None, Tensor | None]:
        """A and B of its LoRA."""
        for a, b in (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B")):
            if a in self.parts or b in self.parts:
                return self.parts.get(a), self.parts.get(b)
        return None, None

    @property
    def adapted(self) -> bool:
        return self.pair != (None, None)


def check(folder: Path) -> None:
    """Raise StudioError, with every reason, where settings and weights disagree."""
    config, tensors = adapter_files.read_config(folder), adapter_files.read_tensors(folder)
    if found := disagreements(config, tensors):
        more = f" There are {len(found) - 1} more reasons." if len(found) > 1 else ""
        raise StudioError(
            "Settings and weights disagree",
            f"{folder.name} can't be used: {found[0].text}{more}",
            _FIX,
            found if len(found) > 1 else (),
        )


def disagreements(config: AdapterConfig, tensors: Mapping[str, Tensor]) -> list[Problem]:
    """Everything in which the settings and the weights of an adapter disagree."""
    modules, whole = _sorted(tensors)
    adapted = [module for module in modules if module.adapted]
    found = [
        *_types(tensors),
        *_pairs(adapted),
        *_ranks(config, adapted),
        *_targets(config, adapted),
        *_magnitudes(config, adapted),
        *_biases(config, adapted),
        *_tokens(config, modules),
        *_wholes(config, whole),
    ]
    if not tensors:
        found.append(_problem("weights", f"{adapter_files.WEIGHTS} holds no weights."))
    return found


def _sorted(tensors: Mapping[str, Tensor]) -> tuple[list[_Module], list[str]]:
    """The modules that have parts of an adapter, and the names of tensors that are whole."""
    modules: dict[str, _Module] = {}
    whole = []
    for key, tensor in tensors.items():
        name, part = adapter_files.split_key(key)
        if part:
            modules.setdefault(name, _Module(name)).parts[part] = tensor
        else:
            whole.append(name)
    return list(modules.values()), whole


def _types(tensors: Mapping[str, Tensor]) -> list[Problem]:
    odd = sorted({tensor.dtype for tensor in tensors.values()} - set(FLOATS))
    if not odd:
        return []
    return [_problem("weights", f"weights are stored as {', '.join(odd)}, not as 16 or 32 bits.")]


def _pairs(modules: list[_Module]) -> list[Problem]:
    single = [module.name for module in modules if None in module.pair]
    return _said(single, "weights", "one half of the weights of {} is missing (A or B).")


def _ranks(config: AdapterConfig, modules: list[_Module]) -> list[Problem]:
    odd: dict[tuple[int, int], list[str]] = {}
    for module in modules:
        a, b = module.pair
        if a is None or b is None:
            continue
        wanted = rank_of(config, module.name)
        if len(a.shape) < 2 or len(b.shape) < 2:
            odd.setdefault((0, wanted), []).append(module.name)
        elif {a.shape[0], b.shape[1]} != {wanted}:
            has = a.shape[0] if a.shape[0] != wanted else b.shape[1]
            odd.setdefault((has, wanted), []).append(module.name)
    return [
        problem
        for (has, wanted), names in odd.items()
        for problem in _said(
            names, "r", f"the weights of {{}} have rank {has}, and the settings say {wanted}."
        )
    ]


def _targets(config: AdapterConfig, modules: list[_Module]) -> list[Problem]:
    if config.whole.get("target_parameters"):
        return []
    stray = [module.name for module in modules if not _targeted(config, module.name)]
    found = _said(stray, "target_modules", "there are weights for {}, which no target names.")
    if not modules and not _names_others(config):
        found.append(_problem("target_modules", "there are no weights for any of its targets."))
    return found


def _targeted(config: AdapterConfig, module: str) -> bool:
    wanted = config.whole.get("target_modules")
    if wanted is None:
        return True  # peft fills them in by the kind of model
    if wanted == "all-linear":
        return module.rsplit(".", 1)[-1] not in EMBEDDINGS
    if isinstance(wanted, str):
        return _matches(wanted, module)
    return any(module == each or module.endswith(f".{each}") for each in map(str, wanted))


def _matches(pattern: str, module: str) -> bool:
    """By a regular expression, as peft does; one that is none is left to peft to refuse."""
    try:
        return re.fullmatch(pattern, module) is not None
    except re.error:
        return True


def _names_others(config: AdapterConfig) -> bool:
    return bool(config.whole.get("modules_to_save") or config.whole.get("trainable_token_indices"))


def _magnitudes(config: AdapterConfig, modules: list[_Module]) -> list[Problem]:
    name = "lora_magnitude_vector"
    if config.whole.get("use_dora"):
        bare = [module.name for module in modules if name not in module.parts]
        return _said(bare, "use_dora", "the settings say DoRA, and {} has no magnitudes.")
    extra = [module.name for module in modules if name in module.parts]
    return _said(
        extra, "use_dora", "there are DoRA's magnitudes for {}, and the settings say no DoRA."
    )


def _biases(config: AdapterConfig, modules: list[_Module]) -> list[Problem]:
    name = "lora_B.bias"
    if config.whole.get("lora_bias"):
        bare = [module.name for module in modules if name not in module.parts]
        return _said(bare, "lora_bias", "the settings say biases, and {} has none.")
    extra = [module.name for module in modules if name in module.parts]
    return _said(extra, "lora_bias", "there is a bias for {}, and the settings say none.")


def _tokens(config: AdapterConfig, modules: list[_Module]) -> list[Problem]:
    told = config.whole.get("trainable_token_indices")
    trained = [module for module in modules if "trainable_tokens_delta" in module.parts]
    if told and not trained:
        text = "the settings name trained tokens, and there are no weights for them."
        return [_problem("trainable_token_indices", text)]
    found = []
    for module in trained:
        rows = module.parts["trainable_tokens_delta"].shape[0]
        wanted = _indices(told, module.name)
        if wanted is None or len(wanted) != rows or min(wanted, default=0) < 0:
            count = "no" if wanted is None else str(len(wanted))
            text = f"weights of {module.name} are for {rows} tokens, and the settings name {count}."
            found.append(_problem("trainable_token_indices", text))
    return found


def _indices(told: Any, module: str) -> list[int] | None:
    if isinstance(told, dict):
        last = module.rsplit(".", 1)[-1]
        told = next((told[name] for name in told if str(name).rsplit(".", 1)[-1] == last), None)
    whole = isinstance(told, list) and all(isinstance(each, int) for each in told)
    return told if whole else None


def _wholes(config: AdapterConfig, whole: list[str]) -> list[Problem]:
    saved = [str(name) for name in config.whole.get("modules_to_save") or ()]
    free = [name for name in whole if _free(name, config.learns_biases)]
    stray = [name for name in whole if name not in free and not _named(name, saved)]
    found = _said(
        stray, "modules_to_save", "there are weights of {}, which the settings don't name."
    )
    missing = [each for each in saved if not any(_named(name, [each]) for name in whole)]
    found += _said(missing, "modules_to_save", "the settings name {}, which has no weights.")
    return found


def _named(tensor: str, modules: Iterable[str]) -> bool:
    """Whether the tensor lies in a module whose name ends in one of these, as peft takes them."""
    parts = tensor.split(".")[:-1]
    around = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(each.endswith(module) for module in modules for each in around)


def _free(tensor: str, bias: bool) -> bool:
    """What peft saves without naming it: embeddings and heads, and biases where they learn."""
    if bias and tensor.endswith(".bias"):
        return True
    module = tensor.rpartition(".")[0].rsplit(".", 1)[-1]
    return module in EMBEDDINGS + adapter_files.HEADS


def rank_of(config: AdapterConfig, module: str) -> int:
    """The rank that the settings give a module."""
    return int(_of_pattern(config.whole.get("rank_pattern"), module, config.rank))


def alpha_of(config: AdapterConfig, module: str) -> float:
    """The alpha that the settings give a module."""
    return float(_of_pattern(config.whole.get("alpha_pattern"), module, config.alpha))


def scale_of(config: AdapterConfig, module: str) -> float:
    """What a module's B @ A is multiplied by: alpha / rank, or alpha / sqrt(rank) (rsLoRA, arXiv
    2312.03732)."""
    alpha, rank = alpha_of(config, module), rank_of(config, module)
    return alpha / math.sqrt(rank) if config.whole.get("use_rslora") else alpha / rank


def _of_pattern(patterns: Any, module: str, default: float) -> float:
    """The first pattern that the module's name ends in, as peft looks for it."""
    for pattern, value in (patterns or {}).items():
        if _matches(rf"(.*\.)?({pattern})", module) and math.isfinite(float(value)):
            return float(value)
    return default


def _said(names: list[str], field: str, text: str) -> list[Problem]:
    """One problem for all of these names, the first of them named."""
    if not names:
        return []
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return [_problem(field, text.format(min(names) + more))]


def _problem(field: str, text: str) -> Problem:
    return Problem(field=field, text=text[0].upper() + text[1:], fix=_FIX)
