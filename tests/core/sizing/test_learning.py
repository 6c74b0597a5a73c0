"""Adapter, gradients and optimizer states against the engine's own, to the byte."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bitsandbytes.optim import GlobalOptimManager

from studio.core.recipe import (
    DatasetPart,
    LoraPart,
    Method,
    ModelPart,
    Optimizer,
    Recipe,
    TrainingPart,
)
from studio.core.sizing.learning import (
    adapter_bytes,
    gradient_bytes,
    learnt,
    optimizer_bytes,
    trainable,
)
from studio.core.sizing.plan import Plan
from studio.engine import attach, optimizers
from tests.core.sizing.configs import QUANTIZED, SMALL
from tests.core.sizing.real import model_of, parameter_shapes
from tests.core.sizing.test_shapes import known

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning"),
    pytest.mark.filterwarnings("ignore:The following .*_pattern keys:RuntimeWarning"),
]
OPTIMIZERS: tuple[Optimizer, ...] = (
    *("adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adafactor"),
)
TARGETS: dict[str, tuple[str, ...]] = {
    "llama": ("q_proj", "v_proj"),
    "gpt2, wide": ("c_attn", "c_proj"),
    "phi": ("q_proj", "dense", "fc2"),
    "phi3": ("qkv_proj", "down_proj"),
    "gpt_neox": ("query_key_value", "dense_h_to_4h"),
    "mixtral": ("q_proj", "o_proj"),
    "qwen2_moe": ("self_attn.v_proj", "up_proj"),
}


def recipe(method: Method, optimizer: Optimizer, rank: int, targets: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        method=method,
        lora=LoraPart(rank=rank, target_modules=targets),
        training=TrainingPart(optimizer=optimizer),
    )


def real(name: str, one: Recipe, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    return attach.make_trainable(model_of(SMALL[name], dtype, "cpu"), one, "m")


def learning(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def bytes_of(tensors: Any) -> int:
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return sum(storages.values())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("rank", [1, 5])
def test_the_adapter_that_peft_puts_on_all_linear_layers(name: str, rank: int) -> None:
    one = recipe("lora", "adamw", rank, "all-linear")
    model = attach.make_trainable(model_of(SMALL[name]), one, "m")
    plan = Plan(method="lora", rank=rank)
    shapes = known(SMALL[name])
    found = learning(model)
    assert adapter_bytes(shapes, plan) == sum(4 * weight.numel() for weight in found)
    ours = {one.shape: 0 for one in learnt(shapes, plan)}
    for tensor in learnt(shapes, plan):
        ours[tensor.shape] += tensor.count
    shapes_there = {tuple(weight.shape) for weight in found}
    there = parameter_shapes(model)
    assert ours.keys() == shapes_there
    assert sum(ours.values()) == len(found) <= sum(there.values())


@pytest.mark.parametrize("name", TARGETS)
def test_the_adapter_on_named_layers(name: str) -> None:
    one = recipe("lora", "adamw", 3, TARGETS[name])
    found = learning(attach.make_trainable(model_of(SMALL[name]), one, "m"))
    plan = Plan(method="lora", rank=3, targets=TARGETS[name])
    assert trainable(known(SMALL[name]), plan) == sum(weight.numel() for weight in found)


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("method", "dtype"),
    [("lora", torch.bfloat16), ("full", torch.float32), ("full", torch.bfloat16)],
)
def test_gradients_and_states_after_a_step_of_the_engines_optimizer(
    name: str, optimizer: Optimizer, method: Method, dtype: torch.dtype
) -> None:
    one = recipe(method, optimizer, 40, "all-linear")
    model = real(name, one, dtype)
    GlobalOptimManager.get_instance().initialize()  # it knows weights by their address
    for weight in learning(model):
        weight.grad = torch.ones_like(weight)
    stepping = optimizers.build(model, one.training, 1e-4)
    stepping.step()
    plan = Plan(
        method=method,
        on_gpu=False,
        weight_bytes=dtype.itemsize,
        rank=40,
        optimizer=optimizer,
    )
    shapes = known(SMALL[name])
    assert gradient_bytes(shapes, plan) == bytes_of(weight.grad for weight in learning(model))
    states = [one for state in stepping.state.values() for one in state.values()]
    assert optimizer_bytes(shapes, plan) == bytes_of(
        one for one in states if isinstance(one, torch.Tensor)
    )
