"""Shapes from a config.json against transformers' own models: every parameter tensor."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.learning import adapter_bytes, gradient_bytes
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes
from studio.core.sizing.weights import weights_bytes
from tests.core.sizing.configs import DEFAULTS, SMALL
from tests.core.sizing.real import model_of, parameter_shapes


def counted(shapes: Shapes) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for tensor in shapes.tensors():
        found[tensor.shape] += tensor.count
    return found


def known(config: dict[str, Any]) -> Shapes:
    shapes = shapes_of(config)
    assert shapes is not None
    return shapes


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_tensor_is_the_real_models(name: str) -> None:
    model, shapes = model_of(SMALL[name]), known(SMALL[name])
    assert counted(shapes) == parameter_shapes(model)
    assert shapes.parameters == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("kind", DEFAULTS)
def test_what_a_config_leaves_out_is_what_transformers_takes(kind: str) -> None:
    config = {"model_type": kind}
    assert counted(known(config)) == parameter_shapes(model_of(config))


@pytest.mark.parametrize("name", SMALL)
def test_linear_layers_by_their_names(name: str) -> None:
    model, shapes = model_of(SMALL[name]), known(SMALL[name])
    head = model.get_output_embeddings()
    real: Counter[tuple[str, int, int]] = Counter()
    for path, module in model.named_modules():
        if module is head or not is_linear(module):
            continue
        weight = module.weight
        turned = type(module).__name__ == "Conv1D"
        inputs, outputs = weight.shape if turned else reversed(weight.shape)
        real[path.rsplit(".", 1)[-1], inputs, outputs] += 1
    ours: Counter[tuple[str, int, int]] = Counter()
    for one in shapes.linears:
        ours[one.module, one.inputs, one.outputs] += one.count
    assert ours == real


def is_linear(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"


WINDOWED = ("mistral", "gemma2", "gemma3_text", "qwen2", "qwen3_moe")


@pytest.mark.parametrize("kind", WINDOWED)
@pytest.mark.parametrize("use", [True, False])
def test_windows_of_the_layers(kind: str, use: bool) -> None:
    config = SMALL[kind] | {"sliding_window": 16, "use_sliding_window": use, "max_window_layers": 1}
    real = model_of(config).config.get_text_config()
    listed = getattr(real, "layer_types", None)
    if listed is None:
        listed = ["sliding_attention" if real.sliding_window else "full"] * real.num_hidden_layers
    wanted = tuple(16 if one == "sliding_attention" else 0 for one in listed)
    assert (known(config).windows or (0,) * 3) == wanted


def test_a_model_of_text_and_pictures_is_sized_by_its_text_model() -> None:
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    whole = {"model_type": "gemma3", "text_config": text | {"model_type": "gemma3_text"}}
    assert counted(known(whole)) == parameter_shapes(model_of(text | {"model_type": "gemma3_text"}))


@pytest.mark.parametrize(
    "broken",
    [
        {"hidden_size": "2048"},
        {"hidden_size": None},
        {"hidden_size": -1},
        {"num_hidden_layers": 0},
        {"vocab_size": 1.5},
        {"num_attention_heads": True},
        {"model_type": None},
        {"model_type": "mamba"},
        {"model_type": "LLaMA"},
    ],
)
def test_what_cannot_be_read_is_unknown(broken: dict[str, Any]) -> None:
    assert shapes_of(SMALL["llama"] | broken) is None


def test_nothing_is_known_of_nothing() -> None:
    assert shapes_of({}) is None
    assert shapes_of({"model_type": "gemma3", "text_config": None}) is not None


@pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)  # peft
@pytest.mark.parametrize("head", [True, False])
def test_what_sees_pictures_is_counted_beside_the_text_model(head: bool) -> None:
    vision = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2}
    vision |= {"num_attention_heads": 4, "image_size": 28, "patch_size": 14}
    text = SMALL["gemma3_text"] | {"model_type": "gemma3_text"}
    whole = {
        "model_type": "gemma3",
        "text_config": text,
        "vision_config": vision | {"vision_use_head": head},
    }
    shapes, real = known(whole), model_of(whole)
    assert shapes.tower is not None
    count = sum(weight.numel() for weight in real.parameters())
    assert shapes.parameters + shapes.tower.parameters == count
    plan = Plan(method="lora", rank=3)
    assert weights_bytes(shapes, plan) == 2 * count
    adapted = get_peft_model(real, LoraConfig(r=3, target_modules="all-linear"))
    learnt = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
    assert adapter_bytes(shapes, plan) == 4 * learnt
    assert gradient_bytes(shapes, plan) < 4 * learnt
