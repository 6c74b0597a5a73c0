"""What an adapter does to the weights of its base, tensor by tensor: PEFT's files, read closely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from studio.core.errors import StudioError
from studio.library import adapter_files
from studio.library.adapter_files import AdapterConfig
from studio.library.adapters import coherence
from studio.library.models import weights
from studio.library.models.tensors import Tensor

EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings")


class Parts(Protocol):
    """The adapter's open file."""

    def get_tensor(self, name: str) -> torch.Tensor:
        """One of its tensors by name."""

    def get_slice(self, name: str) -> Any:
        """The same, of which only the rows that are asked for are read."""


@dataclass(frozen=True)
class Change:
    """All that an adapter does to one tensor, in this order; names are those of its own file.

    `whole` takes the tensor's place; scale x B @ A is added (`a` and `b`; transposed where
    `flipped`); the rows of the sum are brought to the lengths in `magnitude` (DoRA, arXiv
    2402.09353); scale x `bias` is added; `rows` are put at `indices`.
    """

    whole: str = ""
    a: str = ""
    b: str = ""
    scale: float = 1.0
    flipped: bool = False
    magnitude: str = ""
    bias: str = ""
    rows: str = ""
    indices: tuple[int, ...] = ()

    @property
    def by_rows(self) -> bool:
        """Whether some rows can be changed without the others."""
        return not (self.magnitude and self.flipped)

    def apply(self, weight: torch.Tensor, parts: Parts, rows: slice = slice(None)) -> torch.Tensor:
        """The changed tensor in float32. `weight` (float32, out x in; of these rows alone, which
        takes a change `by_rows`) may be overwritten, and counts for nothing where a `whole` one
        takes its place."""
        if self.whole:
            weight = parts.get_slice(self.whole)[rows].float().clone()
        if self.a:
            added = product(parts, self, rows)
            if self.magnitude:
                lengths = parts.get_tensor(self.magnitude).flatten()
                weight = _with_lengths(weight, added, lengths, self, rows)
            else:
                weight.add_(added)
        if self.bias:
            weight.add_(parts.get_tensor(self.bias).float() * self.scale)
        if self.rows:
            _put_rows(weight, parts.get_tensor(self.rows).float(), self.indices, rows.start or 0)
        return weight


def product(parts: Parts, change: Change, rows: slice = slice(None)) -> torch.Tensor:
    """scale x B @ A in float32, in the shape of the weight that it is added to (of these rows)."""
    a, b = parts.get_tensor(change.a).float(), parts.get_tensor(change.b).float()
    found: torch.Tensor = (b @ a[:, rows]).T if change.flipped else b[rows] @ a
    return found.mul_(change.scale)


def changes(
    adapter: Path, base: Mapping[str, Tensor], *, tied: bool, model_type: str = ""
) -> dict[str, Change]:
    """What the adapter does to each tensor of the base that it changes, by the tensor's name.

    `tied` says that the head is the embeddings; a head that becomes another has the name that it
    would have. `model_type` is the base's. Raises StudioError, naming them, where tensors of the
    adapter have no place in the base or no meaning here.
    """
    config, keys = adapter_files.read_config(adapter), adapter_files.read_tensors(adapter)
    return changes_of(config, keys, base, name=adapter.name, tied=tied, model_type=model_type)


def changes_of(
    config: AdapterConfig, keys: Mapping[str, Tensor], base: Mapping[str, Tensor], *, name: str,
    tied: bool, model_type: str = "",
) -> dict[str, Change]:  # fmt: skip
    """The same of an adapter that needn't lie on a disk: its settings, tensors and name."""
    _refuse_unmergeable(config)
    found: dict[str, Change] = {}
    strays: list[str] = []
    for key in keys:
        place, change = _change(config, key, keys, base, tied, model_type)
        if not place:
            strays.append(key)
        elif change is not None:
            found[place] = _joined(found.get(place, Change()), change)
    if strays:
        raise _strays(name, strays)
    for place, change in found.items():
        _check_shape(place, change, keys, base)
    return found


def shape_of(
    change: Change, keys: Mapping[str, Tensor], before: tuple[int, ...]
) -> tuple[int, ...]:
    """The shape of the changed tensor: another only where a whole one takes its place."""
    return keys[change.whole].shape if change.whole else before


def is_head(name: str) -> bool:
    """Whether this is the weight of the layer that makes logits."""
    return name.removesuffix(".weight").rsplit(".", 1)[-1] in adapter_files.HEADS


def embeddings(base: Mapping[str, Tensor]) -> str:
    """The name of the token embeddings, "" where they have none that is known."""
    ends = tuple(f"{name}.weight" for name in EMBEDDINGS)
    return next((name for name in base if name.endswith(ends)), "")


def _change(
    config: AdapterConfig, key: str, keys: Mapping[str, Tensor], base: Mapping[str, Tensor],
    tied: bool, model_type: str,
) -> tuple[str, Change | None]:  # fmt: skip
    """The tensor that this key changes ("" for none), and how; None where another key says it."""
    plain = key.removeprefix(adapter_files.PREFIX)
    match = adapter_files.PART.match(plain)
    if match is None:
        return _place(adapter_files.WRAPPERS.sub("", plain), base, tied), Change(whole=key)
    module, part = adapter_files.WRAPPERS.sub("", match["module"] + ".")[:-1], match["part"]
    stem = key[: key.rindex("." + part)]
    weight = _place(f"{module}.weight", base, tied)
    if part == "lora_B.bias":
        scale = _scale(config, module, keys, stem)
        return _place(f"{module}.bias", base, False), Change(bias=key, scale=scale)
    if part == "lora_magnitude_vector":
        return weight, Change(magnitude=key)
    if part.startswith("token_adapter"):
        return weight, Change(rows=key, indices=_indices(config, module))
    pair = _pair(stem, "embedding" in part)
    if not set(pair) <= set(keys):
        raise _damaged(f"The weights for {module} aren't a pair")
    if key == pair[1]:
        return weight, None
    scale = _scale(config, module, keys, stem)
    flipped = "embedding" in part or weights.stored_transposed(model_type, module)
    return weight, Change(a=pair[0], b=pair[1], scale=scale, flipped=flipped)


def _place(name: str, base: Mapping[str, Tensor], tied: bool) -> str:
    """The base's name for a tensor; some checkpoints leave the outermost name away."""
    for known in (name, name.partition(".")[2]):
        if known in base:
            return known
    return name if tied and is_head(name) else ""


def _pair(stem: str, embedding: bool) -> tuple[str, str]:
    if embedding:
        return f"{stem}.lora_embedding_A", f"{stem}.lora_embedding_B"
    return f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"


def _scale(config: AdapterConfig, module: str, keys: Mapping[str, Tensor], stem: str) -> float:
    """What the module's B @ A is multiplied by; StudioError where its pair has another rank."""
    rank = coherence.rank_of(config, module)
    for embedding in (False, True):
        a, b = (keys.get(name) for name in _pair(stem, embedding))
        if a and b and (a.shape[0] != rank or b.shape[-1] != rank):
            raise _damaged(
                f"The weights for {module} aren't a pair of rank {rank}, as its settings say"
            )
    return coherence.scale_of(config, module)


def _indices(config: AdapterConfig, module: str) -> tuple[int, ...]:
    told: Any = config.whole.get("trainable_token_indices")
    if isinstance(told, dict):
        last = module.rsplit(".", 1)[-1]
        told = next((told[name] for name in told if name.rsplit(".", 1)[-1] == last), None)
    if not isinstance(told, list) or not all(isinstance(one, int) for one in told):
        raise _damaged(f"Its settings don't say which tokens the rows of {module} are for")
    return tuple(told)


def _joined(one: Change, other: Change) -> Change:
    """Two changes of the same tensor; a field that either leaves at its default is the other's."""
    plain = Change()
    said = {
        name: getattr(other, name)
        for name in Change.__dataclass_fields__
        if getattr(other, name) != getattr(plain, name)
    }
    return replace(one, **said)


def _with_lengths(
    weight: torch.Tensor, added: torch.Tensor, wanted: torch.Tensor, change: Change, rows: slice
) -> torch.Tensor:
    whole = weight.add_(added)
    lengths = torch.linalg.norm(whole.T if change.flipped else whole, dim=1)
    factor = (wanted.float()[slice(None) if change.flipped else rows] / lengths)[:, None]
    return whole.mul_(factor.T if change.flipped else factor)


def _put_rows(
    weight: torch.Tensor, new: torch.Tensor, indices: tuple[int, ...], begin: int
) -> None:
    """Put the rows at those indices that `weight`, which begins at the row `begin`, has."""
    places = torch.tensor(indices, device=weight.device) - begin
    here = (places >= 0) & (places < weight.shape[0])
    weight.index_copy_(0, places[here], new[here])


def _check_shape(
    name: str, change: Change, keys: Mapping[str, Tensor], base: Mapping[str, Tensor]
) -> None:
    tensor = base[name if name in base else embeddings(base)]
    if tensor.dtype in ("U8", "I8"):
        return  # packed: its shape says nothing
    before = tensor.shape
    shape = shape_of(change, keys, before)
    if change.whole and shape[1:] != before[1:]:
        raise _other_base(f"{name} is {_by(before)} there and {_by(shape)} here")
    if change.a:
        made = (keys[change.b].shape[0], keys[change.a].shape[1])
        if (made[::-1] if change.flipped else made) != shape:
            raise _other_base(f"{name} is {_by(shape)} there and {_by(made)} here")
    if change.rows and (keys[change.rows].shape != (len(change.indices), *shape[1:])):
        raise _damaged(f"It has {keys[change.rows].shape[0]} rows for {len(change.indices)} tokens")
    if change.indices and not 0 <= min(change.indices) <= max(change.indices) < shape[0]:
        raise _other_base(f"{name} has {shape[0]} rows, and it changes row {max(change.indices)}")
    if change.magnitude and change.flipped and "embedding" in change.a:
        raise StudioError(
            "An adapter that can't be merged",
            "It uses DoRA on token embeddings, which the studio doesn't merge.",
            "Merge it with peft's merge_and_unload where it was made.",
        )


def _refuse_unmergeable(config: AdapterConfig) -> None:
    if config.whole.get("target_parameters"):
        raise StudioError(
            "An adapter that can't be merged",
            "It changes parameters inside layers (target_parameters, as mixtures of experts "
            "have), which the studio doesn't merge.",
            "Merge it with peft's merge_and_unload where it was made.",
        )


def _strays(name: str, keys: list[str]) -> StudioError:
    shown = ", ".join(key.removeprefix(adapter_files.PREFIX) for key in sorted(keys)[:3])
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return StudioError(
        "An adapter that can't be merged",
        f"Weights of {name} have no place in the model: {shown}{more}.",
        "Choose the model that the adapter was trained on.",
    )


def _damaged(why: str) -> StudioError:
    return StudioError("Damaged adapter", f"{why}.", "Copy or download the adapter again.")


def _other_base(why: str) -> StudioError:
    return StudioError(
        "An adapter made for another base",
        f"The adapter doesn't fit the model: {why}.",
        "Choose the model that the adapter was trained on.",
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
