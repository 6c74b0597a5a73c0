"""Norms and gated layers that are computed again backwards: the plain ones' mathematics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from studio.engine import attach, load
from studio.engine.checkpoint import trainable
from studio.engine.fast import layers, made
from tests.engine.making import recipe
from tests.support.tensor_peak import TensorPeak


def gradients_of(module: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    result = module(x)
    generator = torch.Generator().manual_seed(2)
    above = torch.randn(result.shape, generator=generator).to(result.dtype)
    wanted = [x, *(weight for weight in module.parameters() if weight.requires_grad)]
    return result, *torch.autograd.grad(result, wanted, above)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("learns", [True, False])
def test_a_norm_and_its_gradients(dtype: torch.dtype, near: float, learns: bool) -> None:
    torch.manual_seed(1)
    norm = LlamaRMSNorm(48, 1e-5).to(dtype)
    nn.init.normal_(norm.weight, mean=1.0)
    norm.weight.requires_grad_(learns)
    x = (3 * torch.randn(2, 5, 48)).to(dtype).requires_grad_()
    plain = gradients_of(norm, x)
    assert layers.put_on(norm) == 1
    for ours, wanted in zip(gradients_of(norm, x), plain, strict=True):
        assert ours.dtype == wanted.dtype
        apart = (ours.float() - wanted.float()).norm() / wanted.float().norm()
        assert float(apart.detach()) < near


def test_a_norm_of_another_kind_is_left_alone() -> None:
    norm: Any = GemmaRMSNorm(16)
    norm.variance_epsilon = norm.eps
    nn.init.normal_(norm.weight)
    assert layers.put_on(norm) == 0


def adapted(model: Path, fast: bool) -> nn.Module:
    base = load.load_model(model, torch.float32)
    if fast:
        assert layers.put_on(base) == 2 * 2 + 1 + 2
    torch.manual_seed(3)
    learner = attach.make_trainable(base, recipe(model), "tiny")
    for name, weight in trainable(learner).items():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.05)
    return learner


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_model_learns_the_same_and_keeps_less(tiny_model: Path, checkpointing: bool) -> None:
    ids = torch.arange(4, 260)[None] % 400
    found, most = [], []
    for fast in (False, True):
        model = adapted(tiny_model, fast)
        if checkpointing:
            attach.checkpoint_activations(model)
        with TensorPeak() as counted:
            loss = model(input_ids=ids, labels=ids, use_cache=False, logits_to_keep=0).loss
            most.append(counted.now)
            loss.backward()
        found.append((float(loss.detach()), {n: w.grad for n, w in trainable(model).items()}))
    (plain, wanted), (ours, got) = found
    assert ours == pytest.approx(plain, rel=1e-5)
    for name, gradient in wanted.items():
        assert gradient is not None
        torch.testing.assert_close(got[name], gradient, rtol=1e-3, atol=1e-6)
    assert most[1] < (1.01 if checkpointing else 0.8) * most[0]


def test_what_is_made_again_is_made_once_for_all_and_let_go() -> None:
    shared, calls = made.Shared(), []

    def again() -> torch.Tensor:
        calls.append(1)
        return torch.ones(3)

    shared.users = 3
    first = shared.take(again)
    assert shared.take(again) is first
    assert shared.take(again) is first
    assert len(calls) == 1
    assert shared._made is None


def test_what_was_written_into_since_is_not_made_again() -> None:
    marked = made.mark(torch.ones(3), (torch.ones(3),), lambda one: one)
    assert made.origin(marked) is not None
    assert made.origin(marked[:2]) is None
    marked.mul_(2)
    assert made.origin(marked) is None
    with torch.no_grad():
        assert made.origin(made.mark(torch.ones(3), (), torch.ones)) is None
