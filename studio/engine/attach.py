"""What of the model learns: all of it, or a LoRA adapter put onto it."""

from __future__ import annotations

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from studio.core.errors import StudioError
from studio.core.recipe import LoraPart, Recipe
from studio.engine.fast import adapter


def make_trainable(
    model: PreTrainedModel, recipe: Recipe, base_name: str, fast: bool = True
) -> nn.Module:
    """The model with what the recipe's method trains, in training mode. Without `fast` an
    adapter's layers are PEFT's own.

    An adapter's weights are float32 whatever the base is: an update is often smaller than the
    last digit of a 16-bit weight and would be rounded away. Raises StudioError when the target
    modules aren't there.
    """
    if recipe.method == "full":
        model.requires_grad_(True)
        model.train()
        return model
    adapted = _with_adapter(model, recipe.lora, base_name, fast)
    adapted.train()
    return adapted


def checkpoint_activations(model: nn.Module) -> None:
    """Compute activations again in the backward pass instead of keeping them."""
    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    assert isinstance(causal, PreTrainedModel)
    if not causal.supports_gradient_checkpointing:
        raise StudioError(
            "No gradient checkpointing",
            f"{type(causal).__name__} can't compute its activations again.",
            "Set gradient checkpointing to no.",
        )
    # transformers 5.23 gave it another name
    enable = getattr(
        causal, "activation_checkpointing_enable", causal.gradient_checkpointing_enable
    )
    enable({"use_reentrant": False})


def _with_adapter(model: PreTrainedModel, lora: LoraPart, base_name: str, fast: bool) -> PeftModel:
    _refuse_unknown_targets(model, lora)
    targets = lora.target_modules
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    if fast:
        config._register_custom_module(adapter.kinds(model))
    adapted = get_peft_model(model, config, autocast_adapter_dtype=True)
    assert isinstance(adapted, PeftModel)
    adapted.peft_config["default"].base_model_name_or_path = base_name
    _leave_casting_to_autocast(adapted)
    return adapted


def _leave_casting_to_autocast(model: nn.Module) -> None:
    """PEFT turns every layer's input into the adapter's float32, which autocast then undoes."""
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            setattr(module, "cast_input_dtype_enabled", False)  # noqa: B010


def _refuse_unknown_targets(model: PreTrainedModel, lora: LoraPart) -> None:
    if isinstance(lora.target_modules, str):
        return
    names = [name for name, module in model.named_modules() if _linear(module)]
    unknown = [
        wanted
        for wanted in lora.target_modules
        if not any(name == wanted or name.endswith(f".{wanted}") for name in names)
    ]
    if unknown:
        known = sorted({name.rsplit(".", 1)[-1] for name in names})
        raise StudioError(
            "Target modules not found",
            f"The model has no linear layer called {', '.join(unknown)}.",
            f"Choose among {', '.join(known)}, or all-linear.",
        )


def _linear(module: nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"
