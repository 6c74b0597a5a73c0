"""Attention by rows: what torch's own gives for each row alone, and only where it does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedModel

from studio.engine import load
from studio.engine.data import Row
from studio.engine.fast import attention
from studio.engine.tasks.causal_lm import CausalLM, pack, pad

LENGTHS = (5, 300, 1, 128, 129)
WIDTHS = [(16, 16), (24, 8), (8, 24)]
FORMATS = [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]


def drawn(
    lines: int, tokens: int, dtype: torch.dtype, width: int = 16, values: int = 16
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Queries, keys and values, heads of a token side by side as models have them; and what the
    result's gradient is."""
    torch.manual_seed(0)
    shapes = ((lines, tokens, 6, width), (lines, tokens, 2, width), (lines, tokens, 2, values))
    inputs = [torch.randn(shape, dtype=dtype).transpose(1, 2) for shape in shapes]
    above = torch.randn(lines, tokens, 6, values, dtype=dtype)
    return [one.requires_grad_() for one in inputs], above


def by_our_rows(
    inputs: list[torch.Tensor], above: torch.Tensor, bounds: torch.Tensor | None
) -> list[torch.Tensor]:
    """The result and the gradients."""
    module = torch.nn.Module()
    got, _ = attention.attend(module, *inputs, None, cu_seq_lens_q=bounds, scaling=0.3)
    return [got, *torch.autograd.grad(got, inputs, above)]


def attended(
    lengths: tuple[int, ...], dtype: torch.dtype, *widths: int
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The result and the gradients: by rows of one line, and by torch's own of each row alone."""
    inputs, above = drawn(1, sum(lengths), dtype, *widths)
    bounds = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    ours = by_our_rows(inputs, above, bounds)
    pieces = []
    for first, behind in pairwise(bounds.tolist()):
        query, key, value = (tensor[:, :, first:behind] for tensor in inputs)
        pieces.append(
            torch.nn.functional.scaled_dot_product_attention(
                query, key, value, is_causal=True, scale=0.3, enable_gqa=True
            )
        )
    plain = torch.cat(pieces, dim=2).transpose(1, 2)
    return ours, [plain, *torch.autograd.grad(plain, inputs, above)]


def assert_near(some: list[torch.Tensor], others: list[torch.Tensor], near: float) -> None:
    for one, other in zip(some, others, strict=True):
        apart = (one.float() - other.float()).norm() / other.float().norm()
        assert float(apart.detach()) < near


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize(("dtype", "near"), FORMATS)
def test_rows_of_a_line_attend_as_if_alone(
    dtype: torch.dtype, near: float, widths: tuple[int, int]
) -> None:
    assert_near(*attended(LENGTHS, dtype, *widths), near)


@pytest.mark.parametrize(("dtype", "near"), FORMATS)
def test_a_long_row_attends_as_by_torchs_own(dtype: torch.dtype, near: float) -> None:
    assert_near(*attended((1100,), dtype), near)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lines_without_bounds_are_a_row_each(dtype: torch.dtype) -> None:
    inputs, above = drawn(3, 140, dtype)
    together = by_our_rows(inputs, above, None)
    for line in range(3):
        own = slice(line, line + 1)
        alone = by_our_rows(
            [one[own].detach().requires_grad_() for one in inputs], above[own], None
        )
        assert all(torch.equal(all_[own], one) for all_, one in zip(together, alone, strict=True))


@pytest.mark.parametrize(("dtype", "near"), FORMATS)
def test_torchs_kernel_and_the_way_without_a_matrix_unit_agree(
    dtype: torch.dtype, near: float
) -> None:
    for widths in WIDTHS:
        inputs, above = drawn(1, 200, dtype, *widths)
        row = [one[0].detach() for one in inputs]
        ways = attention._put_fused, attention._put_result
        made = [torch.empty_like(above[0].transpose(0, 1)) for _ in ways]
        for put, result in zip(ways, made, strict=True):
            put((*row, result), 0.3)
        assert_near(made[:1], made[1:], near)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_rows_give_the_same_bits(dtype: torch.dtype) -> None:
    bounds = torch.tensor([0, *np.cumsum(LENGTHS)], dtype=torch.int32)
    inputs, above = drawn(1, sum(LENGTHS), dtype)
    first, again = (by_our_rows(inputs, above, bounds) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))


def by_rows(model: Path) -> tuple[CausalLM, CausalLM]:
    """The same model with its own attention, and by rows."""
    plain, fast = (load.load_model(model, torch.float32) for _ in range(2))
    assert attention.put_on(fast)
    tokenizer = load.load_tokenizer(model)
    return CausalLM(plain, tokenizer), CausalLM(fast, tokenizer)


def rows(seed: int = 0) -> list[Row]:
    generator = np.random.default_rng(seed)
    made = [generator.integers(4, 500, length) for length in (60, 200, 9)]
    return [Row(ids, ids) for ids in made]


def test_a_packed_rows_loss_is_the_rows_own(tiny_model: Path) -> None:
    plain, fast = by_rows(tiny_model)
    alone = [float(plain.loss_sum(pad([row], 0)).detach()) for row in rows()]
    for place, row in enumerate(rows()):
        quiet = [r if r is row else Row(r.input_ids, np.full(len(r), -100)) for r in rows()]
        quiet[place] = row
        packed = float(fast.loss_sum(pack(quiet)).detach())
        assert packed == pytest.approx(alone[place], rel=1e-4 / 6)
    assert fast.keeps_packed_rows_apart()


def test_editing_one_row_changes_no_other_rows_loss(tiny_model: Path) -> None:
    _, fast = by_rows(tiny_model)
    kept = rows()[1]
    losses = []
    for seed in (1, 2):
        others = [Row(row.input_ids, np.full(len(row), -100)) for row in rows(seed)]
        losses.append(float(fast.loss_sum(pack([others[0], kept, others[2]])).detach()))
    assert losses[0] == losses[1]


def test_without_bounds_rows_would_mix_and_that_is_noticed(tiny_model: Path) -> None:
    _, fast = by_rows(tiny_model)
    fast.by_rows = False
    assert not fast.keeps_packed_rows_apart()


def test_answers_are_made_with_a_cache_as_before(tiny_model: Path) -> None:
    plain, fast = by_rows(tiny_model)
    assert fast.preview("note coffee") == plain.preview("note coffee")


def test_a_model_that_caps_its_scores_keeps_its_own_attention() -> None:
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=256,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        attn_logit_softcapping=0.05,
        query_pre_attn_scalar=1,
        attn_implementation="eager",
    )
    model: PreTrainedModel = Gemma2ForCausalLM(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    assert not attention.put_on(model)
    assert not attention.by_rows(model)
    assert model.config._attn_implementation == "eager"
