"""Telling models apart by what they hold, without reading all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from studio.library.models.tensors import Tensor

SAMPLED_TENSORS = 256
SAMPLE_BYTES = 64

_TELLS_NOTHING = {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache"}


def of(config: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    """A digest of the config, all shapes and samples of the weights' bytes.

    Two folders with the same weights agree however the weights are cut into files.
    """
    told = {key: value for key, value in config.items() if key not in _TELLS_NOTHING}
    hasher = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    ordered = sorted(tensors.items())
    for name, tensor in ordered:
        hasher.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
    for _, tensor in ordered[:: max(1, len(ordered) // SAMPLED_TENSORS)]:
        hasher.update(_sample(tensor))
    return hasher.hexdigest()


def _sample(tensor: Tensor) -> bytes:
    taken = b""
    with tensor.file.open("rb") as file:
        for start in (tensor.begin, tensor.begin + tensor.bytes // 2, tensor.end - SAMPLE_BYTES):
            place = max(tensor.begin, start)
            file.seek(place)
            taken += file.read(min(SAMPLE_BYTES, tensor.end - place))
    return taken
