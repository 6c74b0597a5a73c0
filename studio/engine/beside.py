"""An adapter beside the weights of its base, where PEFT adds it at every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open

from studio.core.errors import StudioError
from studio.library import adapter_files


def attach(model: Any, folder: Path, name: str = "default") -> PeftModel:
    """The model with the adapter of this folder on it, ready to speak.

    PEFT passes over weights that find no place in the model; here that is a StudioError. So is a
    layer of the base that comes along with other weights than the base's: PEFT would put them
    into the base, which other adapters share.
    """
    refuse_another_base(model, folder)
    options: dict[str, Any] = {"adapter_name": name, "torch_device": str(model.device)}
    if isinstance(model, PeftModel):
        model.load_adapter(str(folder), low_cpu_mem_usage=True, **options)
    else:
        model = PeftModel.from_pretrained(model, str(folder), low_cpu_mem_usage=True, **options)
    taken = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    given = set(adapter_files.read_tensors(folder))
    strays = {key for key in given ^ set(taken) if ".base_layer." not in key}
    if strays:
        raise StudioError(
            "An adapter that doesn't fit",
            f"{len(strays)} weights of {folder.name} have no place in the model, "
            f"{min(strays)} first.",
            "Choose the model that the adapter was trained on.",
        )
    model.set_adapter(name, inference_mode=True)
    ready: PeftModel = model.eval()
    return ready


def refuse_biases(folder: Path) -> None:
    """PEFT would write them into the base, which other adapters share."""
    if adapter_files.read_config(folder).learns_biases:
        raise StudioError(
            "Trained biases need a 16-bit base",
            f"{folder.name} changes biases of the base, which the studio does only where its "
            "weights aren't quantized and there is room for a copy of what changes.",
            "Load the base in 16 bits.",
        )


def refuse_another_base(model: Any, folder: Path) -> None:
    learnt = adapter_files.read_config(folder).learns_biases
    copies = [
        key
        for key in adapter_files.read_tensors(folder)
        if ".base_layer." in key and not (learnt and key.endswith(".bias"))
    ]
    if not copies:
        return
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    own: dict[str, Any] = {
        name.replace(".base_layer.", "."): each for name, each in base.named_parameters()
    }
    own |= {f"{end}.weight": base.get_output_embeddings().weight for end in adapter_files.HEADS}
    with safe_open(folder / adapter_files.WEIGHTS, "pt") as parts:
        for key in copies:
            weight = own.get(key.removeprefix(adapter_files.PREFIX).replace(".base_layer.", "."))
            if weight is None or not _equal(parts.get_tensor(key), weight):
                raise StudioError(
                    "An adapter with a base of its own",
                    f"{folder.name} brings weights of the base along that differ from the base's "
                    f"({key.removeprefix(adapter_files.PREFIX)}).",
                    "Choose the model that the adapter was trained on.",
                )


def _equal(given: torch.Tensor, weight: torch.Tensor) -> bool:
    return given.shape == weight.shape and torch.equal(given.to(weight), weight)
