"""How much each input of a layer counts, measured on training rows: what llama.cpp's quantizer
weighs its rounding errors by (an importance matrix)."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file
from torch import nn

from studio.engine.data import Row
from studio.engine.load import load_model
from studio.engine.precision import best_device, decide

MOST_TOKENS = 8_192
"""Of training rows that are read."""

Importance = dict[str, npt.NDArray[np.float32]]
"""The mean square of every input of a weight, by the weight's name in the GGUF file."""
Tick = Callable[[float], None]


def write(model: Path, file: Path, rows: Sequence[Row], out: Path, tick: Tick) -> None:
    """Measure a model folder on these rows, by the names that its GGUF file has for its weights,
    and write what was found as safetensors."""
    save_file(measure(model, rows, names_in(file), tick), out)


def measure(
    model: Path, rows: Sequence[Row], names: Callable[[str], str], tick: Tick
) -> Importance:
    """What goes into the linear layers of a model folder while it reads these rows.

    `names` gives a weight's name in the file, "" where it has none; such weights are left out.
    """
    device = best_device()
    loaded: Any = load_model(model, decide("auto", device).dtype, device=device)
    sums: dict[str, torch.Tensor] = {}
    seen = 0
    with _listening(loaded, names, sums), torch.inference_mode():
        for place, row in enumerate(rows):
            tick(place / len(rows))
            ids = torch.tensor(row.input_ids[None], device=loaded.device)
            loaded(input_ids=ids, use_cache=False)
            seen += ids.numel()
    found = {name: (total / max(1, seen)).cpu().numpy() for name, total in sums.items()}
    del loaded
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


@contextlib.contextmanager
def _listening(
    model: nn.Module, names: Callable[[str], str], sums: dict[str, torch.Tensor]
) -> Iterator[None]:
    handles = []
    for module_name, module in model.named_modules():
        name = names(f"{module_name}.weight") if isinstance(module, nn.Linear) else ""
        if name:
            handles.append(module.register_forward_pre_hook(_adding(name, sums)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _adding(name: str, sums: dict[str, torch.Tensor]) -> Callable[[nn.Module, Any], None]:
    def add(module: nn.Module, inputs: Any) -> None:
        squares = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).float().square().sum(0)
        sums[name] = sums[name] + squares if name in sums else squares

    return add


def names_in(file: Path) -> Callable[[str], str]:
    """How a GGUF file of this architecture calls the weights of the model that it was made of."""
    from gguf import MODEL_ARCH_NAMES, GGUFReader, get_tensor_name_map

    reader = GGUFReader(file)
    named = str(reader.fields["general.architecture"].contents())
    arch = next((arch for arch, name in MODEL_ARCH_NAMES.items() if name == named), None)
    if arch is None:
        return lambda name: ""
    blocks = int(reader.fields[f"{named}.block_count"].contents())
    known = get_tensor_name_map(arch, blocks)
    there = {tensor.name for tensor in reader.tensors}

    def find(name: str) -> str:
        found = known.get_name(name, try_suffixes=(".weight",)) or ""
        if found == "output.weight" and found not in there:
            found = "token_embd.weight"  # head and embeddings are one
        return found if found in there else ""

    return find
