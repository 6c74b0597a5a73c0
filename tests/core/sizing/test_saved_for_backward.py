"""Each operation's bytes for the backward pass, alone, against what torch really saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear as Adapted
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as fused_attention
from transformers.activations import ACT2FN
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from studio.core.sizing import attention, logits, pieces, products
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Linear, Shapes
from studio.core.sizing.tape import Tape, Value
from studio.engine.fast import layers, slabs
from tests.support.tensor_peak import TensorPeak

TOKENS, WIDTH, INNER = 64, 48, 104
HEADS, KEYS, HEAD = 6, 2, 8
DTYPES = {2: torch.bfloat16, 4: torch.float32}
FROZEN = Plan(method="lora", on_gpu=False, autocast=False, rows=2, length=32)
LEARNING = Plan(method="full", on_gpu=False, autocast=False, rows=2, length=32)
SHAPES = Shapes(
    kind="llama",
    hidden=WIDTH,
    intermediate=INNER,
    layers=1,
    heads=HEADS,
    kv_heads=KEYS,
    head_dim=HEAD,
    vocabulary=131,
    tied=False,
    linears=(),
    others=(),
)


def saved(work: Callable[[], torch.Tensor], there: list[torch.Tensor]) -> int:
    """Bytes that the work keeps for its backward pass, besides what was there."""
    before = {one.untyped_storage().data_ptr() for one in there}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in before:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with slabs.off(), hooks:
        result = work()
    assert result.requires_grad
    return sum(kept.values())


def told(tape: Tape, *given: Value) -> int:
    """Bytes that the tape keeps, besides what it was given."""
    there = {id(one.storage): one.size for one in given if one.storage and one.storage.kept}
    return sum(tape.kept.values()) - sum(there.values())


def plan_like(plan: Plan, width: int) -> Plan:
    """The plan with all values this wide."""
    return msgspec.structs.replace(plan, compute_bytes=width, weight_bytes=width)


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("plan", [FROZEN, LEARNING], ids=["frozen", "learning"])
@pytest.mark.parametrize(
    ("kind", "module"),
    [("rms", LlamaRMSNorm), ("rms+1", Gemma2RMSNorm), ("layer", nn.LayerNorm)],
)
@pytest.mark.parametrize("peft", [False, True], ids=["remade", "plain"])
def test_norms(kind: str, module: Any, plan: Plan, width: int, peft: bool) -> None:
    plan = msgspec.structs.replace(plan, peft=peft)
    norm = module(WIDTH).to(DTYPES[width]).requires_grad_(plan.full)
    if plan.remakes:
        layers.put_on(norm)
    values = torch.ones(TOKENS, WIDTH, dtype=DTYPES[width], requires_grad=True)
    true = saved(lambda: norm(values), [values, *norm.parameters()])
    tape = Tape()
    given = tape.given(TOKENS * WIDTH * width, width)
    pieces.norm(tape, plan_like(plan, width), given, kind, WIDTH)
    # a factor of WIDTH numbers, or a statistic in 16 bits, is all that may be off
    assert abs(told(tape, given) - true) <= 4 * max(WIDTH, 2 * TOKENS)


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("kind", ["silu", "gelu", "gelu_pytorch_tanh", "gelu_new"])
def test_activation_functions(kind: str, width: int) -> None:
    values = torch.ones(TOKENS, INNER, dtype=DTYPES[width], requires_grad=True)
    true = saved(lambda: ACT2FN[kind](values), [values])
    tape = Tape()
    given = tape.given(TOKENS * INNER * width, width)
    plan = Plan(method="lora", on_gpu=False, autocast=False)
    pieces.activation(tape, plan, given, kind)
    assert told(tape, given) == true


def test_a_frozen_product_keeps_nothing_and_one_that_learns_its_input() -> None:
    for plan in (FROZEN, LEARNING):
        layer = nn.Linear(WIDTH, INNER, bias=False).requires_grad_(plan.full)
        made = torch.ones(TOKENS, WIDTH, requires_grad=True)
        values = made * 2
        true = saved(lambda layer=layer, values=values: layer(values), [layer.weight])  # type: ignore[misc]
        tape = Tape()
        given = tape.given(TOKENS * WIDTH * 4, 4)
        products.product(tape, plan_like(plan, 4), given, WIDTH, INNER, 4, plan.full)
        assert sum(tape.kept.values()) == true == (values.nbytes if plan.full else 0)


@pytest.mark.parametrize("width", [2, 4])
def test_autocast_keeps_copies_of_weight_and_input(width: int) -> None:
    layer = nn.Linear(WIDTH, INNER, bias=False)
    values = torch.ones(TOKENS, WIDTH, requires_grad=True)
    context = torch.autocast("cpu", DTYPES[width], enabled=width == 2)

    def work() -> torch.Tensor:
        with context:
            return layer(values)  # type: ignore[no-any-return]

    true = saved(work, [values, layer.weight])
    tape = Tape()
    given = tape.given(TOKENS * WIDTH * 4, 4)
    plan = Plan(method="full", on_gpu=False, compute_bytes=width, weight_bytes=4)
    products.product(tape, plan, given, WIDTH, INNER, 4, True)
    assert told(tape, given) == true


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_an_adapter_as_peft_computes_it(share: float) -> None:
    config = LoraConfig(r=4, lora_dropout=share)
    layer = Adapted(
        nn.Linear(WIDTH, INNER, bias=False).requires_grad_(False), "default", config, r=4
    )
    made = torch.ones(TOKENS, WIDTH, requires_grad=True)
    values = made * 2
    true = saved(lambda: layer(values), list(layer.parameters()))
    tape = Tape()
    given = tape.given(TOKENS * WIDTH * 4, 4)
    plan = Plan(
        method="lora",
        on_gpu=False,
        autocast=False,
        compute_bytes=4,
        weight_bytes=4,
        rank=4,
        dropout=share,
        peft=True,
    )
    linear = Linear(module="q_proj", inputs=WIDTH, outputs=INNER, count=1, role="attention")
    products.linear(tape, plan, given, linear)
    assert sum(tape.kept.values()) == true


def test_turned_positions_keep_only_what_the_whole_model_shares() -> None:
    query = torch.ones(2, HEADS, 32, HEAD, requires_grad=True)
    cosine = torch.ones(1, 32, HEAD)
    true = saved(lambda: apply_rotary_pos_emb(query, query, cosine, cosine)[0], [cosine])
    tape = Tape()
    pieces.turned(tape, tape.given(query.nbytes, 4), 1.0)
    assert sum(tape.kept.values()) == true == 0


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention(width: int, masked: bool) -> None:
    query, key, value = (
        torch.randn(2, count, 32, HEAD, dtype=DTYPES[width], requires_grad=True)
        for count in (HEADS, KEYS, KEYS)
    )
    mask = torch.ones(2, 1, 32, 32, dtype=torch.bool) if masked else None

    def work() -> torch.Tensor:
        if not masked:
            return fused_attention(query, key, value, is_causal=True, enable_gqa=True)
        keys, values = (one.repeat_interleave(HEADS // KEYS, 1) for one in (key, value))
        return fused_attention(query, keys, values, attn_mask=mask)

    true = saved(work, [query, key, value])
    tape = Tape()
    given = tuple(tape.given(one.nbytes, width) for one in (query, key, value))
    plan = plan_like(FROZEN, width)
    attention.attention(tape, plan, SHAPES, given, 8 if masked else 0)  # type: ignore[arg-type]
    assert told(tape, *given) == true


def test_the_whole_loss_and_its_peak() -> None:
    plan = Plan(
        method="lora",
        on_gpu=False,
        autocast=False,
        compute_bytes=4,
        weight_bytes=4,
        rows=2,
        length=32,
        logits="full",
    )
    norm, head = LlamaRMSNorm(WIDTH), nn.Linear(WIDTH, 131, bias=False)
    for module in (norm, head):
        module.requires_grad_(False)
    values = torch.randn(2, 32, WIDTH, requires_grad=True)
    targets = torch.zeros(2, 31, dtype=torch.long)
    with TensorPeak() as counted:
        counted.hold([values, norm.weight, head.weight, targets])
        before = counted.now
        made = head(norm(values))[:, :-1]
        loss = nn.functional.cross_entropy(made.flatten(0, 1), targets.flatten())
        del made
        kept = counted.now - before
        counted.mark("backward")
        loss.backward()
    tail = logits.Tail(SHAPES, plan, 4)
    input_bytes = values.nbytes
    assert sum(tail.kept.values()) - input_bytes == pytest.approx(kept, rel=0.05)
    true = counted.peaks["backward"] - before
    assert tail.backward - input_bytes == pytest.approx(true, rel=0.05)
