"""What lies on disk of a mix: its adapters, looked at before any of them loads, and its recipe."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from studio.core.errors import StudioError
from studio.core.mix_problems import Layer, Part, problems
from studio.core.mixing import Ingredient, Mix, method
from studio.core.problem import Problem
from studio.core.upgrades import FORMATS, upgraded
from studio.library import adapter_files, adapters
from studio.library.adapter_files import AdapterConfig
from studio.library.adapters import AdapterFacts, coherence
from studio.library.adapters.facts import record
from studio.library.files import remove_folder, sweep_abandoned, whole_folder, write_whole
from studio.library.folders import Home, legal_name
from studio.library.models import weights
from studio.library.models.tensors import Tensor

FILE = "mix.yaml"
TEMPLATE = "chat_template.jinja"

_HALVES = {"lora_A": "A", "lora_embedding_A": "A", "lora_B": "B", "lora_embedding_B": "B"}
_COPY = ".base_layer."
_READ_BYTES = 2**20
_LONGEST_NAME = 80
_DRAFTS = "mixes"
_KEEP_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Pair:
    """The two halves of an adapter in one layer, and what their product is multiplied by."""

    a: Tensor
    b: Tensor
    scale: float

    @property
    def layer(self) -> Layer:
        """Its rank and how wide it is."""
        return Layer(rank=self.a.shape[0], inner=self.a.shape[1], outer=self.b.shape[0])


def look(home: Home, mix: Mix, base: Path | None = None) -> tuple[list[Part], list[Problem]]:
    """The mix's adapters and everything that is wrong with mixing them; only headers are read.

    Without `base` the model that the adapters were trained on is looked for.
    """
    model = base or base_of(home, mix)
    parts = [_part_or_problem(Path(one.adapter), model) for one in mix.adapters]
    return parts, problems(mix, parts)


def base_of(home: Home, mix: Mix) -> Path | None:
    """The folder of the model that these adapters belong on; None where it isn't here."""
    for one in mix.adapters:
        try:
            return adapters.base_of(home, adapters.facts(Path(one.adapter)))
        except StudioError:
            continue
    return None


def pairs(folder: Path) -> dict[str, Pair]:
    """An adapter's pairs by the name of their layer, in the order that a model has them.

    Raises StudioError where it can't be read or its pairs aren't whole.
    """
    config, keys = adapter_files.read_config(folder), adapter_files.read_tensors(folder)
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in keys.items():
        module, name = adapter_files.split_key(key)
        if half := _HALVES.get(name):
            halves.setdefault(module, {})[half] = tensor
    return {name: _pair(config, name, halves[name]) for name in sorted(halves, key=_natural)}


def part(folder: Path, base: Path | None = None) -> Part:
    """What the adapter in this folder brings into a mix.

    Raises StudioError where it can't be read, or doesn't fit `base`.
    """
    known, found = adapters.facts(folder), pairs(folder)
    if base is not None:
        adapter_files.check_shapes(folder, base)
    template = folder / TEMPLATE
    return Part(
        path=str(folder.absolute()),
        name=known.name,
        base=known.base,
        base_digest=known.base_digest,
        method=known.method,
        template=_sha256(template) if template.is_file() else "",
        layers={name: pair.layer for name, pair in found.items()},
        kinds=_kinds(folder, base),
    )


def stamped(mix: Mix, parts: list[Part]) -> Mix:
    """The recipe as it is kept: adapters by name and content, and the base they belong on."""
    told = tuple(
        Ingredient(
            adapter=str(Path(one.adapter).absolute()),
            weight=one.weight,
            name=part.name,
            digest=_sha256(Path(one.adapter) / adapter_files.WEIGHTS),
        )
        for one, part in zip(mix.adapters, parts, strict=True)
    )
    known = next((one for one in parts if one.base_digest), parts[0])
    return msgspec.structs.replace(
        mix, adapters=told, base=known.base, base_digest=known.base_digest
    )


def write(folder: Path, mix: Mix) -> None:
    """Put the recipe into an adapter's folder."""
    plain = {"format": FORMATS["mix"]} | msgspec.to_builtins(mix)
    write_whole(folder / FILE, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def read(path: Path) -> Mix:
    """The recipe in a file or in a folder's mix.yaml. Raises StudioError where there is none."""
    file = path / FILE if path.is_dir() else path
    try:
        data = yaml.safe_load(file.read_text("utf-8"))
        if not isinstance(data, dict):
            raise ValueError("it is no table")
        return msgspec.convert(upgraded("mix", data, f"The mix {file.name}"), Mix)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StudioError(
            "No mix", f"{file} can't be read as the recipe of a mix: {error}.", "Mix again."
        ) from error


def draft(home: Home, mix: Mix) -> Path:
    """A folder that stands for a mix that isn't baked: its recipe, named by its content.

    Chat takes it for an adapter's folder, and speaks with the live mix.
    """
    key = hashlib.sha256(msgspec.json.encode(mix)).hexdigest()[:8]
    told = " + ".join(
        f"{legal_name(one.name or Path(one.adapter).name)} {one.weight:g}" for one in mix.adapters
    )
    folder = home.cache / _DRAFTS / f"{told[:_LONGEST_NAME].strip()} ({key})"
    if is_draft(folder):
        os.utime(folder)
    else:
        with whole_folder(folder) as temporary:
            write(temporary, mix)
            template = Path(strongest(mix).adapter) / TEMPLATE
            if template.is_file():
                shutil.copyfile(template, temporary / TEMPLATE)
    return folder


def sweep_drafts(home: Home) -> None:
    """Delete the drafts that nobody asked for in a week and no kept conversation speaks with."""
    drafts = home.cache / _DRAFTS
    sweep_abandoned(drafts)
    with contextlib.suppress(OSError):
        old = [one for one in drafts.glob("*") if time.time() - one.stat().st_mtime > _KEEP_SECONDS]
        told = [file.read_text("utf-8") for file in home.chats.glob("*.json")] if old else []
        for folder in old:
            if not any(folder.name in text for text in told):
                remove_folder(folder)


def names_draft(folder: str) -> bool:
    """Whether a path is one that `draft` gives; the disk isn't looked at."""
    return Path(folder).parent.name == _DRAFTS


def called(folder: str) -> str:
    """What to call an adapter's folder, or one that stands for a mix."""
    name = Path(folder).name
    return name.rpartition(" (")[0] if names_draft(folder) else name


def is_draft(folder: Path) -> bool:
    """Whether this stands for a mix that has no weights of its own."""
    return (folder / FILE).is_file() and not (folder / adapter_files.WEIGHTS).exists()


def facts_of(mix: Mix, parts: list[Part]) -> AdapterFacts:
    """What the library is told of an adapter that was baked from this mix."""
    all_quantized = all(one.method == "qlora" for one in parts)
    known = [adapters.facts(Path(one.adapter)) for one in mix.adapters]
    settings = msgspec.to_builtins(mix)
    return AdapterFacts(
        base=mix.base,
        base_digest=mix.base_digest,
        base_told=known[0].base_told,
        method="qlora" if all_quantized else "lora",
        lineage=tuple(
            adapters.origin(each, "mixed", one.weight)
            for each, one in zip(known, mix.adapters, strict=True)
        ),
        mixture={key: settings[key] for key in method(mix.method).settings},
    )


def strongest(mix: Mix) -> Ingredient:
    """The adapter that counts most, the first of equals: its tokenizer and template are taken."""
    return max(mix.adapters, key=lambda one: abs(one.weight))


def copy(source: Path, target: Path, known: AdapterFacts) -> None:
    """Fill a folder with an adapter's files and what is known of it."""
    for file in adapter_files.belonging(source):
        shutil.copyfile(file, target / file.name)
    record(target, known)


def _part_or_problem(folder: Path, base: Path | None) -> Part:
    try:
        return part(folder, base)
    except StudioError as error:
        said = f"{error.text} {error.fix}".strip()
        return Part(path=str(folder.absolute()), name=folder.name, problem=said)


def _pair(config: AdapterConfig, module: str, halves: Mapping[str, Tensor]) -> Pair:
    rank = coherence.rank_of(config, module)
    a, b = halves.get("A"), halves.get("B")
    whole = a is not None and b is not None and len(a.shape) == len(b.shape) == 2
    if not whole or a is None or b is None or a.shape[0] != rank or b.shape[1] != rank:
        raise StudioError(
            "Damaged adapter",
            f"The weights for {module} aren't a pair of rank {rank}, as its settings say.",
            "Copy or download the adapter again.",
        )
    return Pair(a, b, coherence.scale_of(config, module))


def _kinds(folder: Path, base: Path | None) -> dict[str, int]:
    """How many tensors the adapter has that are no pair, by kind."""
    found: dict[str, int] = {}
    model = weights.read(base)[0] if base is not None else {}
    for key, tensor in adapter_files.read_tensors(folder).items():
        module, part = adapter_files.split_key(key)
        if part in _HALVES or (_COPY in key and _is_the_bases(module, tensor, model)):
            continue
        kind = _kind(module, part)
        found[kind] = found.get(kind, 0) + 1
    if targets := adapter_files.read_config(folder).whole.get("target_parameters"):
        found["parameters"] = len(targets)
    return found


def _kind(name: str, part: str) -> str:
    """What a tensor is that is no half of a pair, as KINDS names it."""
    if part == "lora_magnitude_vector":
        return "dora"
    if part.endswith(".bias") or name.endswith(".bias"):
        return "bias"
    return "tokens" if part else "whole"


def _is_the_bases(name: str, tensor: Tensor, model: Mapping[str, Tensor]) -> bool:
    """Whether a layer that came along with LoRA on embeddings is the base's own, byte for byte."""
    own = model.get(adapter_files.match(name.removesuffix(".weight"), dict(model)))
    if own is None or (own.dtype, own.shape) != (tensor.dtype, tensor.shape):
        return False
    with own.file.open("rb") as one, tensor.file.open("rb") as other:
        one.seek(own.begin)
        other.seek(tensor.begin)
        left = own.bytes
        while left:
            take = min(left, _READ_BYTES)
            if one.read(take) != other.read(take):
                return False
            left -= take
    return True


def _natural(name: str) -> list[Any]:
    """layers.2 before layers.10."""
    return [(0, int(one), "") if one.isdigit() else (1, 0, one) for one in name.split(".")]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
