"""Rotary positions as one operation: the same as the library's own function, forwards and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers.models.llama import modeling_llama

from studio.engine import load
from studio.engine.fast import rotary


def turned(
    function: rotary.Rotation, lines: int, of_angles: int, dtype: torch.dtype
) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    q = torch.randn(lines, 7, 6, 16, dtype=dtype).transpose(1, 2).requires_grad_()
    k = torch.randn(lines, 7, 2, 16, dtype=dtype).transpose(1, 2).requires_grad_()
    cos, sin = torch.randn(2, of_angles, 7, 16, dtype=dtype)
    results = function(q, k, cos, sin)
    above = [torch.randn(result.shape).to(dtype) for result in results]
    return *results, *torch.autograd.grad(results, (q, k), above)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("lines", "of_angles"), [(1, 1), (3, 1), (3, 3)])
def test_results_and_gradients_are_the_plain_ones(
    lines: int, of_angles: int, dtype: torch.dtype
) -> None:
    plain = modeling_llama.apply_rotary_pos_emb
    wanted = turned(plain, lines, of_angles, dtype)
    got = turned(rotary._instead_of(plain), lines, of_angles, dtype)
    near = 1e-6 if dtype == torch.float32 else 1e-2
    for one, other in zip(got, wanted, strict=True):
        assert one.dtype == other.dtype
        apart = (one.float() - other.float()).norm() / other.float().norm()
        assert float(apart.detach()) < near


def test_a_function_that_does_something_else_is_left_alone_and_all_are_put_back(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load.load_model(tiny_model, torch.float32)
    plain = modeling_llama.apply_rotary_pos_emb
    rotary.put_on(model)
    rotary.put_on(model)
    assert modeling_llama.apply_rotary_pos_emb is not plain
    rotary.take_off(model)
    assert modeling_llama.apply_rotary_pos_emb is plain

    def other(*tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        q, k = plain(*tensors)
        return q * 2, k

    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", other)
    rotary.put_on(model)
    assert modeling_llama.apply_rotary_pos_emb is other
