"""Putting accelerations to work in this process. What is for cards follows the libraries' own
documents and is unverified: no card was at hand."""

from __future__ import annotations

from collections.abc import Collection

import torch
from transformers import PreTrainedModel

from studio.engine.fast import attention, layers, rotary
from studio.library import accelerations
from studio.library.folders import Home

FLASH = "flash_attention_2"


def decide(home: Home, device: torch.device) -> tuple[str, ...]:
    """The names of those that come in on this device."""
    on_card = device.type == "cuda"
    capability = torch.cuda.get_device_capability(device) if on_card else None
    return accelerations.chosen(home, capability)


def attention_kind(names: Collection[str], dtype: str) -> str:
    """The implementation of attention, by transformers' name; "" is the model's usual."""
    if "rows" in names:
        return attention.NAME
    return FLASH if "flash" in names and dtype != "float32" else ""


def keeps_rows_apart(kind: str) -> bool:
    """Whether this attention takes packed rows at no cost."""
    return kind in (attention.NAME, FLASH)


def settle(names: Collection[str]) -> None:
    """What holds for the whole process. https://docs.pytorch.org/docs/stable/notes/cuda.html

    Growing segments are on from the start (process.py) and can only be turned off here.
    """
    if torch.cuda.is_available() and "segments" not in names:
        torch._C._accelerator_setAllocatorSettings("expandable_segments:False")
    if "tf32" in names:
        torch.set_float32_matmul_precision("high")


def put_on(model: PreTrainedModel, names: Collection[str]) -> None:
    """The studio's own layers on a processor; on a card Liger's, whose loss stays ours.

    https://github.com/linkedin/Liger-Kernel: what a model's kind lacks is left out by itself.
    """
    if "layers" in names:
        layers.put_on(model)
        rotary.put_on(model)
    else:
        rotary.take_off(model)
    if "liger" not in names:
        return
    from liger_kernel.transformers import (  # type: ignore[import-not-found]
        _apply_liger_kernel_to_instance,
    )

    _apply_liger_kernel_to_instance(
        model=model, cross_entropy=False, fused_linear_cross_entropy=False
    )
