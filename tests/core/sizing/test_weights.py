"""Weights against real tensors on the processor, to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bitsandbytes
import pytest
import torch

from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Linear, Shapes
from studio.core.sizing.weights import int8_bytes, nf4_bytes, weights_bytes
from studio.engine.load import load_model
from tests.core.sizing.configs import QUANTIZED, SMALL
from tests.core.sizing.real import held_bytes, model_of


def known(config: dict[str, Any]) -> Shapes:
    shapes = shapes_of(config)
    assert shapes is not None
    return shapes


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize(("dtype", "each"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_weights_as_they_are(name: str, dtype: torch.dtype, each: int) -> None:
    model = model_of(SMALL[name], dtype, "cpu")
    plan = Plan(method="lora", weight_bytes=each)
    assert weights_bytes(known(SMALL[name]), plan) == held_bytes(model)


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize(("bits", "kind"), [(4, "nf4"), (8, "int8")])
def test_quantized_models_as_the_engine_loads_them(
    name: str, bits: Any, kind: Any, tmp_path: Path
) -> None:
    model_of(SMALL[name], torch.bfloat16, "cpu").save_pretrained(tmp_path)
    real = load_model(tmp_path, torch.bfloat16, bits=bits, device=torch.device("cpu"))
    plan = Plan(method="qlora", weight_bytes=2, quantized=kind)
    assert weights_bytes(known(SMALL[name]), plan) == held_bytes(real)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("sides", [(64, 64), (7, 9), (1, 3), (130, 129), (257, 64), (1031, 640)])
def test_one_layer_in_nf4(double: bool, sides: tuple[int, int]) -> None:
    layer = bitsandbytes.nn.Linear4bit(
        *sides, bias=False, compress_statistics=double, quant_type="nf4"
    ).to("cpu")
    assert held_bytes(layer) == nf4_bytes(sides[0] * sides[1], double)


@pytest.mark.parametrize("sides", [(64, 64), (7, 9), (130, 129)])
def test_one_layer_in_int8(sides: tuple[int, int]) -> None:
    layer = bitsandbytes.nn.Linear8bitLt(*sides, bias=False, has_fp16_weights=False).to("cpu")
    linear = Linear(module="x", inputs=sides[0], outputs=sides[1], count=1, role="mlp")
    assert held_bytes(layer) == int8_bytes(linear)
