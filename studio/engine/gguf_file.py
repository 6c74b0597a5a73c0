"""What a GGUF file says of itself, and why it may not be convertible."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import torch
from gguf import GGMLQuantizationType, GGUFReader
from transformers.integrations.gguf.utils import is_gguf_arch_supported
from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

from studio.core.errors import StudioError

_ALIASES = {
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "gpt-oss": "gpt_oss",
    "minimax-m2": "minimax_m2",
}
_KEPT = {"F32": torch.float32, "F16": torch.float16}


@dataclass(frozen=True)
class GgufFacts:
    """A GGUF file: its architecture, how most weights are stored, and what they unpack to.

    `splits` is the file's name for the way its tokenizer splits words.
    """

    architecture: str
    licence: str
    stored: str
    dtype: torch.dtype
    parameters: int
    splits: str = ""

    @property
    def unpacked_bytes(self) -> int:
        """Size of the safetensors file to come."""
        return self.parameters * self.dtype.itemsize

    @property
    def dtype_name(self) -> str:
        """The type to come, as transformers spells it."""
        return str(self.dtype).removeprefix("torch.")


def read(source: Path) -> GgufFacts:
    """The facts of a file that transformers can convert. Raises StudioError otherwise."""
    reader = _open(source)
    architecture = str(_value(reader, "general.architecture") or "")
    _refuse_unknown(source, architecture)
    _refuse_parts(source, reader)
    stored = _stored(reader)
    return GgufFacts(
        architecture=architecture,
        licence=str(_value(reader, "general.license") or ""),
        stored=stored,
        dtype=_KEPT.get(stored, torch.bfloat16),
        parameters=sum(math.prod(int(n) for n in tensor.shape) for tensor in reader.tensors),
        splits=str(_value(reader, "tokenizer.ggml.pre") or ""),
    )


def _open(source: Path) -> GGUFReader:
    if not source.is_file():
        raise StudioError("No such file", f"There is no file {source}.", "Pick a GGUF file.")
    with source.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise StudioError(
            "Not a GGUF file",
            f"{source.name} does not begin like a GGUF file.",
            "Pick a file that ends in .gguf; a model folder needs no import.",
        )
    try:
        return GGUFReader(source)
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise StudioError(
            "GGUF is damaged",
            f"{source.name} is cut short or damaged.",
            "Download or copy the file again.",
        ) from error


def _refuse_unknown(source: Path, architecture: str) -> None:
    known = _ALIASES.get(architecture, architecture)
    if known in GGUF_SUPPORTED_ARCHITECTURES or is_gguf_arch_supported(architecture):
        return
    raise StudioError(
        "Unknown architecture",
        f"transformers can't convert GGUF files of the architecture {architecture or '(none)'} "
        f"({source.name}).",
        "Get the model as a safetensors folder from the hub instead.",
    )


def _refuse_parts(source: Path, reader: GGUFReader) -> None:
    if int(_value(reader, "split.count") or 1) > 1:
        raise StudioError(
            "One part of a model",
            f"{source.name} is one of several parts.",
            "Join them first with llama-gguf-split --merge.",
        )
    if _value(reader, "tokenizer.ggml.model") is None or not reader.tensors:
        raise StudioError(
            "Not a language model",
            f"{source.name} holds no tokenizer or no weights.",
            "Pick the GGUF file of a language model, not of an adapter or a projector.",
        )


def _stored(reader: GGUFReader) -> str:
    """The type of most weights; norms, which are always plain, aside."""
    sizes: Counter[str] = Counter()
    for tensor in reader.tensors:
        if len(tensor.shape) > 1:
            sizes[GGMLQuantizationType(tensor.tensor_type).name] += int(tensor.n_bytes)
    return sizes.most_common(1)[0][0] if sizes else "F32"


def _value(reader: GGUFReader, key: str) -> Any:
    field: gguf.ReaderField | None = reader.get_field(key)
    return None if field is None else field.contents()
