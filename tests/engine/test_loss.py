"""The loss: chunked equals plain, rows don't see each other, the end token is learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import Gemma2Config, Gemma2ForCausalLM

from studio.engine import load, loss
from studio.engine.data import Row
from studio.engine.tasks.causal_lm import CausalLM, pack, pad
from tests.engine.making import token_rows


@pytest.fixture
def task(tiny_model: Path) -> CausalLM:
    return CausalLM(load.load_model(tiny_model, torch.float32), load.load_tokenizer(tiny_model))


def rows_of(model: Path, count: int) -> list[Row]:
    return [
        Row(np.asarray(row["input_ids"]), np.asarray(row["labels"]))
        for row in token_rows(model, count)
    ]


def plain_loss_sum(task: CausalLM, row: Row) -> torch.Tensor:
    logits = task.model(input_ids=torch.from_numpy(row.input_ids)[None], use_cache=False).logits
    return cross_entropy(logits[0, :-1].float(), torch.from_numpy(row.labels)[1:], reduction="sum")


def gradients(task: CausalLM) -> list[torch.Tensor]:
    found = [weight.grad.clone() for weight in task.model.parameters()]
    task.model.zero_grad()
    return found


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunked_loss_and_gradients_equal_plain_ones(
    task: CausalLM, tiny_model: Path, chunk: int
) -> None:
    rows = rows_of(tiny_model, 6)
    wanted = sum(plain_loss_sum(task, row) for row in rows)
    wanted.backward()
    wanted_gradients = gradients(task)
    assert task.split is not None
    task.split.chunk = chunk
    got = task.loss_sum(pad(rows, task.pad))
    got.backward()
    torch.testing.assert_close(got, wanted)
    for one, other in zip(gradients(task), wanted_gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_whole_logits_never_exist(task: CausalLM, tiny_model: Path) -> None:
    assert task.split is not None
    task.split.chunk = 5
    seen: list[int] = []
    hook = task.split.head.register_forward_hook(lambda _m, _i, out: seen.append(out.shape[0]))
    batch = pad(rows_of(tiny_model, 6), task.pad)
    task.loss_sum(batch).backward()
    hook.remove()
    assert max(seen) <= 5
    assert sum(seen) == 2 * batch.trained  # once forwards, once again in the backward pass


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_frozen_heads_gradient_is_made_ahead_and_equals_the_plain_one(chunk: int) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 90, bias=False).requires_grad_(False)
    hidden = (3 * torch.randn(20, 16)).requires_grad_()
    targets = torch.randint(0, 90, (20,))
    got = loss.chunked_loss_sum(head, hidden, targets, chunk) / 20
    wanted = cross_entropy(head(hidden), targets)
    torch.testing.assert_close(got, wanted)
    ours, plain = (torch.autograd.grad(one, hidden)[0] for one in (got, wanted))
    torch.testing.assert_close(ours, plain)
    with torch.no_grad():
        alone = loss.chunked_loss_sum(head, hidden, targets, chunk) / 20
    torch.testing.assert_close(alone, wanted)


def test_a_target_that_seemed_impossible_has_a_finite_loss() -> None:
    head = torch.nn.Linear(2, 3, bias=False).requires_grad_(False)
    head.weight.copy_(torch.tensor([[300.0, 0.0], [0.0, 0.0], [-300.0, 0.0]]))
    hidden = torch.tensor([[1.0, 0.0]], requires_grad=True)
    got = loss.chunked_loss_sum(head, hidden, torch.tensor([2]), 8)
    got.backward()
    assert float(got.detach()) == pytest.approx(600.0)
    assert hidden.grad is not None
    assert hidden.grad.tolist() == [[600.0, 0.0]]


def test_models_that_cap_their_logits_use_their_own(tiny_model: Path) -> None:
    config = Gemma2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        final_logit_softcapping=0.5,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(config)
    task = CausalLM(model, load.load_tokenizer(tiny_model))
    assert task.split is None
    ids = np.arange(4, 20)
    row = Row(ids, ids)
    torch.testing.assert_close(task.loss_sum(pack([row])), plain_loss_sum(task, row))


def test_padding_changes_no_rows_loss(task: CausalLM, tiny_model: Path) -> None:
    rows = rows_of(tiny_model, 5)
    assert len({len(row) for row in rows}) > 1
    alone = sum(task.loss_sum(pad([row], task.pad)) for row in rows)
    torch.testing.assert_close(task.loss_sum(pad(rows, task.pad)), alone)


def per_row(task: CausalLM, rows: list[Row]) -> list[float]:
    """The loss of each row of a packed batch: the others' labels are taken away."""
    losses = []
    for chosen in range(len(rows)):
        kept = [
            row if place == chosen else Row(row.input_ids, np.full(len(row), loss.IGNORED))
            for place, row in enumerate(rows)
        ]
        losses.append(float(task.loss_sum(pack(kept)).detach()))
    return losses


def test_packed_rows_do_not_see_each_other(task: CausalLM, tiny_model: Path) -> None:
    rows = rows_of(tiny_model, 4)
    alone = [float(plain_loss_sum(task, row).detach()) for row in rows]
    assert per_row(task, rows) == pytest.approx(alone, rel=1e-5)
    other = Row(rows[1].input_ids[::-1].copy(), rows[1].labels)
    edited = per_row(task, [rows[0], other, *rows[2:]])
    assert edited[1] != pytest.approx(alone[1], rel=1e-3)
    assert [edited[0], *edited[2:]] == pytest.approx([alone[0], *alone[2:]], rel=1e-5)
    assert task.keeps_packed_rows_apart()


def test_dropout_is_not_taken_for_rows_that_mix(task: CausalLM) -> None:
    for module in task.model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    task.model.train()
    assert task.keeps_packed_rows_apart()
    assert task.model.training


def test_attention_that_mixes_packed_rows_is_noticed(
    task: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a mask of ones transformers no longer looks at the positions."""
    assert task.split is not None
    decoder = task.split.decoder
    forward = decoder.forward

    def masked(**inputs: torch.Tensor) -> object:
        return forward(**inputs, attention_mask=torch.ones_like(inputs["input_ids"]))

    monkeypatch.setattr(decoder, "forward", masked)
    assert not task.keeps_packed_rows_apart()


def test_the_end_token_is_learnt_though_it_is_the_padding_token(
    task: CausalLM, tiny_model: Path
) -> None:
    assert task.tokenizer.pad_token_id == task.tokenizer.eos_token_id == task.pad
    rows = rows_of(tiny_model, 5)
    batch = pad(rows, task.pad)
    learnt = batch.labels == task.pad
    assert learnt.sum(dim=1).tolist() == [1] * len(rows)
    ends = [row.labels.tolist().index(task.pad) for row in sorted(rows, key=len)]
    for place, row in enumerate(rows):
        assert bool(learnt[place, len(row) - 1]), ends


def test_micro_batches_hold_the_limit_and_lose_no_row(task: CausalLM, tiny_model: Path) -> None:
    rows = rows_of(tiny_model, 20)
    longest = max(len(row) for row in rows)
    batches = task.batches(rows, tokens=3 * longest)
    assert all(batch.input_ids.numel() <= 3 * longest for batch in batches)
    assert sum(batch.tokens for batch in batches) == sum(len(row) for row in rows)
    padded = sum(batch.input_ids.numel() for batch in batches)
    assert padded < 1.1 * sum(len(row) for row in rows)
    by_size = task.batches(rows, tokens=1, size=6)
    assert [batch.input_ids.shape[0] for batch in by_size] == [6, 6, 6, 2]
    packed = task.batches(rows, tokens=3 * longest, packed=True)
    assert all(batch.input_ids.shape[1] <= 3 * longest for batch in packed)
    assert sum(batch.trained for batch in packed) == sum(batch.trained for batch in batches)


def test_packed_micro_batches_are_few_and_of_like_size(task: CausalLM) -> None:
    sizes = [90, 80, 70, 60, 50, 40, 30, 20, 10]
    rows = [Row(np.full(size, 4), np.full(size, 4)) for size in sizes]
    packed = [batch.tokens for batch in task.batches(rows, tokens=200, packed=True)]
    assert len(packed) == 3
    assert sum(packed) == sum(sizes)
    assert max(packed) <= 160
    # where the like-sized ones wouldn't fit, first fit's are taken
    tight = [Row(np.full(size, 4), np.full(size, 4)) for size in (6, 6, 4, 4, 4)]
    assert [batch.tokens for batch in task.batches(tight, tokens=12, packed=True)] == [12, 12]
    assert task.batches([], tokens=12, packed=True) == []


def test_a_batch_without_trained_tokens_has_loss_zero(task: CausalLM) -> None:
    row = Row(np.arange(4, 12), np.full(8, loss.IGNORED))
    total = task.loss_sum(pad([row], task.pad))
    total.backward()
    assert total.item() == 0.0
