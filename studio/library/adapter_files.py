"""The files of a PEFT adapter: read with suspicion, since anybody may have made them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.library import foreign
from studio.library.models import config_of, weights
from studio.library.models.tensors import Tensor, Unreadable, read

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
HEADS = ("lm_head", "embed_out", "output_layer")
PICKLED = "adapter_model.bin"
PREFIX = "base_model.model."
PART = re.compile(
    r"^(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_A|"
    r"lora_embedding_B|lora_magnitude_vector|token_adapter\.trainable_tokens_delta)(?:\.weight)?$"
)
"""What an adapter has of a module; everything else stands in the place of a tensor of the base."""
WRAPPERS = re.compile(r"\.(base_layer|original_module|modules_to_save)(?=\.)")

_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
_OTHER_SHAPES = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "megatron_config",
    "monteclora_config",
    "use_bdlora",
    "use_qalora",
)
_VARIANTS = {
    "use_rslora": "rsLoRA",
    "use_dora": "DoRA",
    "rank_pattern": "rank pattern",
    "alpha_pattern": "alpha pattern",
    "modules_to_save": "whole modules",
    "trainable_token_indices": "trained tokens",
    "lora_bias": "biases",
}
_MAX_CONFIG_BYTES = 10_000_000
KNOWN_FILES = (
    CONFIG,
    WEIGHTS,
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "mix.yaml",
    "passport.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


class AdapterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What counts in adapter_config.json. `whole` is all of it."""

    base: str
    method: str
    rank: int
    alpha: float
    targets: tuple[str, ...]
    variants: tuple[str, ...]
    whole: dict[str, Any]

    @property
    def learns_biases(self) -> bool:
        """Whether biases of the base itself were trained and come along."""
        return str(self.whole.get("bias", "none")) != "none"


def read_config(folder: Path) -> AdapterConfig:
    """The adapter's config. Raises StudioError when this is no LoRA adapter that can be used."""
    if not folder.is_dir():
        raise StudioError(
            "No such folder", f"There is no folder {folder}.", "Check where the adapter lies."
        )
    file = folder / CONFIG
    if not file.is_file():
        raise _no_adapter(folder)
    try:
        whole = foreign.read(file, _MAX_CONFIG_BYTES)
        if not isinstance(whole, dict):
            raise ValueError("it is no table")
        return _config(whole)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise StudioError(
            "Damaged adapter",
            f"{CONFIG} in {folder.name} can't be read: {error}.",
            "Copy or download the adapter again.",
        ) from error


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The adapter's tensors by name. Raises StudioError when they are missing or damaged."""
    file = folder / WEIGHTS
    if file.is_file():
        return _tensors_of(file)
    if (folder / PICKLED).is_file():
        raise StudioError(
            "Pickled adapter",
            f"{folder.name} holds {PICKLED}, a file that can run code when it is opened.",
            "Convert it where you trust it: load it with peft and save it again with "
            "save_pretrained, which writes safetensors.",
        )
    raise StudioError(
        "Adapter without weights",
        f"{folder.name} has {CONFIG} but no {WEIGHTS}.",
        "Copy or download the whole adapter folder.",
    )


def belonging(folder: Path) -> list[Path]:
    """The files of an adapter folder that belong to an adapter; all else is left behind, and so
    are links that lead out of it."""
    there = [folder / name for name in KNOWN_FILES if (folder / name).is_file()]
    return [file for file in there if file.name in (CONFIG, WEIGHTS) or foreign.stays(file)]


def size(folder: Path) -> int:
    """Bytes of the files directly in the folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def module_of(key: str) -> str:
    """The module of the base that a key of the adapter file belongs to, "" if it tells none.

    >>> module_of("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight")
    'model.layers.0.mlp.up_proj'
    """
    for part in (".lora_A.", ".lora_B."):
        if part in key:
            return key.split(part)[0].removeprefix(PREFIX)
    return ""


def split_key(key: str) -> tuple[str, str]:
    """The module that a key belongs to and the part of an adapter it is; of a tensor that takes
    the place of the base's, that tensor's name and "".

    >>> split_key("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight")
    ('model.layers.0.mlp.up_proj', 'lora_A')
    """
    plain = key.removeprefix(PREFIX)
    found = PART.match(plain)
    if found is None:
        return WRAPPERS.sub("", plain), ""
    part = found["part"].removesuffix(".weight").removeprefix("token_adapter.")
    return WRAPPERS.sub("", found["module"] + ".")[:-1], part


def match(module: str, base: dict[str, Tensor]) -> str:
    """The name of the base's tensor that is this module's weight, "" if there is none.

    Some checkpoints leave the outermost name away (`h.0…` for `transformer.h.0…`).
    """
    for name in (f"{module}.weight", f"{module.partition('.')[2]}.weight"):
        if name in base:
            return name
    return ""


def check_shapes(folder: Path, base: Path) -> None:
    """Raise StudioError when the adapter in `folder` can't belong to the model in `base`."""
    read_config(folder)
    adapter, model = read_tensors(folder), weights.read(base)[0]
    model_type = str(config_of(base).get("model_type", ""))
    for key, tensor in adapter.items():
        module = module_of(key)
        if not module or not key.endswith(".weight"):
            continue
        name = match(module, model)
        if not name and module.rsplit(".", 1)[-1] in HEADS:
            continue  # tied to the embeddings
        if not name:
            raise _other_base(folder, base, f"the model has no layer {module}")
        weight = model[name]
        if len(weight.shape) != 2 or weight.dtype in ("U8", "I8"):
            continue
        flipped = weights.stored_transposed(model_type, module)
        out_size, in_size = reversed(weight.shape) if flipped else weight.shape
        wanted, has = (in_size, tensor.shape[-1]) if ".lora_A." in key else (
            out_size, tensor.shape[0]
        )  # fmt: skip
        if wanted != has:
            raise _other_base(folder, base, f"{module} is {wanted} wide there and {has} here")


def _tensors_of(file: Path) -> dict[str, Tensor]:
    try:
        return {tensor.name: tensor for tensor in read(file)}
    except (OSError, Unreadable, ValueError, KeyError, TypeError) as error:
        raise StudioError(
            "Damaged adapter",
            f"{file.name} in {file.parent.name} can't be read: {error}.",
            "Copy or download the adapter again.",
        ) from error


def _config(whole: dict[str, Any]) -> AdapterConfig:
    kind = str(whole.get("peft_type", ""))
    if kind.upper() != "LORA":
        raise StudioError(
            "Another kind of adapter",
            f"This is an adapter of the kind {kind or 'unknown'}; the studio uses LoRA adapters.",
            "Choose a LoRA adapter.",
        )
    if unusual := _unusual(whole):
        raise StudioError(
            "Another kind of adapter",
            f"This adapter needs more than a LoRA beside unchanged weights ({unusual}).",
            "Save it as a plain LoRA adapter where it was made; for PiSSA and its kin, peft's "
            "save_pretrained does so with path_initial_model_for_weight_conversion.",
        )
    rank = int(whole.get("r", 0))
    if rank < 1:
        raise ValueError(f"its rank is {rank}")
    targets = whole.get("target_modules") or ()
    return AdapterConfig(
        base=str(whole.get("base_model_name_or_path") or ""),
        method="dora" if whole.get("use_dora") else "lora",
        rank=rank,
        alpha=float(whole.get("lora_alpha", 0)),
        targets=(targets,) if isinstance(targets, str) else tuple(sorted(map(str, targets))),
        variants=_variants(whole),
        whole=whole,
    )


def _variants(whole: dict[str, Any]) -> tuple[str, ...]:
    biases = {"lora_bias": whole.get("lora_bias") or whole.get("bias", "none") != "none"}
    told = whole | biases
    return tuple(name for key, name in _VARIANTS.items() if told.get(key))


def _unusual(whole: dict[str, Any]) -> str:
    """The setting by which an adapter changes the base's own weights, layers or code paths."""
    start = str(whole.get("init_lora_weights", ""))
    if start.startswith(_CHANGES_BASE):
        return start
    return next((key for key in _OTHER_SHAPES if whole.get(key)), "")


def _no_adapter(folder: Path) -> StudioError:
    if (folder / "config.json").is_file():
        return StudioError(
            "A model, not an adapter",
            f"{folder.name} holds a whole model, not an adapter.",
            "Import it as a model on the Model step of New run.",
        )
    return StudioError(
        "Not an adapter",
        f"{folder.name} has no {CONFIG}.",
        f"Choose the folder that holds {CONFIG} and {WEIGHTS}.",
    )


def _other_base(folder: Path, base: Path, why: str) -> StudioError:
    return StudioError(
        "An adapter made for another base",
        f"{folder.name} doesn't fit the model {base.name}: {why}.",
        "Choose the model that the adapter was trained on.",
    )
