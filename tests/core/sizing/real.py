"""Models of transformers built from a config, without files and, if need be, without memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

# The usual ones lie outside of a small vocabulary, which transformers remarks on.
_NO_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


def model_of(
    config: dict[str, Any], dtype: torch.dtype = torch.float32, device: str = "meta"
) -> PreTrainedModel:
    """The causal language model that transformers builds for this config.json."""
    rest = _NO_TOKENS | {key: value for key, value in config.items() if key != "model_type"}
    made = AutoConfig.for_model(config["model_type"], **rest)
    with torch.device(device):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(made, dtype=dtype)
    model.tie_weights()
    return model


def parameter_shapes(model: torch.nn.Module) -> Counter[tuple[int, ...]]:
    """How many parameter tensors of each shape; tied ones count once."""
    return Counter(tuple(weight.shape) for weight in model.parameters())


def held_bytes(module: torch.nn.Module) -> int:
    """Bytes of all parameters, each storage once, with the constants of quantized ones."""
    found: dict[int, int] = {}
    for weight in module.parameters():
        for tensor in (weight, *_constants(weight)):
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def _constants(weight: torch.nn.Parameter) -> list[torch.Tensor]:
    state = getattr(weight, "quant_state", None)
    nested = getattr(state, "state2", None)
    found = [getattr(weight, "SCB", None), getattr(state, "offset", None)]
    found += [getattr(one, name, None) for one in (state, nested) for name in ("absmax", "code")]
    return [one for one in found if isinstance(one, torch.Tensor)]
