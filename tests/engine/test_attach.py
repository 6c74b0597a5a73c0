"""What learns: the whole model, or an adapter on the layers named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from studio.core.errors import StudioError
from studio.core.recipe import LoraPart
from studio.engine import attach, load
from studio.engine.checkpoint import trainable
from tests.engine.making import recipe


def adapted(model: Path, **lora: object) -> torch.nn.Module:
    wanted = msgspec.structs.replace(recipe(model), lora=LoraPart(**lora))  # type: ignore[arg-type]
    return attach.make_trainable(load.load_model(model, torch.bfloat16), wanted, "tiny")


def test_an_adapter_goes_on_every_linear_layer_but_the_head(tiny_model: Path) -> None:
    weights = trainable(adapted(tiny_model, rank=4))
    assert len(weights) == 2 * 14
    assert not any("lm_head" in name for name in weights)
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_an_adapter_goes_on_the_layers_named(tiny_model: Path) -> None:
    weights = trainable(adapted(tiny_model, rank=4, target_modules=("q_proj", "v_proj")))
    assert len(weights) == 2 * 4


def test_layers_that_are_not_there_are_named(tiny_model: Path) -> None:
    with pytest.raises(StudioError, match="qq_proj") as caught:
        adapted(tiny_model, target_modules=("q_proj", "qq_proj"))
    assert "down_proj" in caught.value.fix


def test_full_fine_tuning_learns_every_weight(tiny_model: Path) -> None:
    model = load.load_model(tiny_model, torch.float32)
    assert not model.training
    learning = attach.make_trainable(model, recipe(tiny_model, "full"), "tiny")
    assert len(trainable(learning)) == len(list(model.parameters()))
    assert learning.training


def test_recomputed_activations_give_the_same_gradients(tiny_model: Path) -> None:
    model = attach.make_trainable(
        load.load_model(tiny_model, torch.float32), recipe(tiny_model), "tiny"
    )
    kept = gradients(model)
    attach.checkpoint_activations(model)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, kept[name])


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    model.zero_grad()
    ids = torch.arange(4, 30)[None]
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    return {n: w.grad.clone() for n, w in trainable(model).items() if w.grad is not None}
