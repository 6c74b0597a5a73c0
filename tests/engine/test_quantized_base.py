"""The base that a QLoRA adapter was trained on, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

from studio.engine import quantized_base
from studio.engine.load import load_model
from studio.library.models import weights


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_what_the_4_bit_model_computes_with(tiny_model: Path, dtype: torch.dtype) -> None:
    model = load_model(tiny_model, dtype, bits=4, device=torch.device("cpu"))
    plain = load_model(tiny_model, dtype, device=torch.device("cpu"))
    names = quantized_base.layers(weights.read(tiny_model)[0])
    packed: dict[str, Any] = {
        f"{name}.weight": each
        for name, each in model.named_modules()
        if isinstance(each, Linear4bit)
    }
    assert names == set(packed)
    held = quantized_base.AsTrained(names, dtype)
    for name, weight in plain.named_parameters():
        wanted = weight.float()
        if name in packed:
            wanted = dequantize_4bit(packed[name].weight, packed[name].weight.quant_state).float()
            assert not torch.equal(wanted, weight.float())
        assert torch.equal(held(name, weight.detach().float()), wanted)


def test_back_to_what_is_stored(tiny_model: Path) -> None:
    plain = load_model(tiny_model, torch.float32, device=torch.device("cpu"))
    model = load_model(tiny_model, torch.float32, device=torch.device("cpu"))
    names = quantized_base.layers(weights.read(tiny_model)[0])
    quantized_base.put(model, quantized_base.AsTrained(names, torch.float32))
    one, other = plain.state_dict(), model.state_dict()
    assert not all(torch.equal(one[name], other[name]) for name in one)
    quantized_base.put(model, quantized_base.AsStored(tiny_model))
    assert all(torch.equal(one[name], other[name]) for name in one)
