"""PEFT adapters for tests, made by PEFT itself on a model folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

QUESTION = ({"role": "user", "content": "What is the capital of France?"},)


def load(model: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The model by plain transformers."""
    return AutoModelForCausalLM.from_pretrained(model, dtype=dtype).eval()


def make_adapter(model: Path, out: Path, seed: int = 0, **settings: Any) -> Path:
    """An adapter with random weights, large enough to change answers; returns its folder."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        torch.manual_seed(seed)
        options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
        options |= {"init_lora_weights": "gaussian"} | settings
        config = LoraConfig(task_type="CAUSAL_LM", **options)
        peft = get_peft_model(load(model), config)
        for name, weight in peft.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(0, 0.1)
            elif "lora_magnitude" in name:
                weight.data.mul_(1.2)
        peft.save_pretrained(out)
    return out


def with_peft(model: Path, adapter: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Model and adapter by plain peft."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        return PeftModel.from_pretrained(load(model, dtype), str(adapter)).eval()


@torch.inference_mode()
def logits(model: Any, ids: list[int]) -> torch.Tensor:
    """[positions, vocabulary] in float32."""
    return model(input_ids=torch.tensor([ids])).logits[0].float()


def attach_plain(model: Any, adapter: Path) -> Any:
    """An adapter on a loaded model by plain peft."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        return PeftModel.from_pretrained(model, str(adapter)).eval()
