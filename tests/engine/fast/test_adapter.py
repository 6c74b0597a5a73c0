"""The adapter's linear layer: PEFT's mathematics, gradients, dropout and files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import Linear as PlainLinear
from torch import nn

from studio.engine import attach, load
from studio.engine.checkpoint import trainable
from studio.engine.fast import adapter, frozen
from studio.engine.fast.dropout import drawn
from tests.engine.making import recipe

BITS = {"float32": 16, "bfloat16": 16, "nf4": 4}


def learner(model: Path, kind: str, plain: bool, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A model with an adapter that already says something; `plain` with PEFT's own layers."""
    dtype = torch.float32 if kind == "float32" else torch.bfloat16
    base = load.load_model(model, dtype, bits=BITS[kind])  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        if plain:
            patch.setattr(adapter, "kinds", lambda model: {})
        torch.manual_seed(3)
        adapted = attach.make_trainable(base, recipe(model), "tiny")
    torch.manual_seed(4)
    for name, weight in trainable(adapted).items():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.05)
    return adapted


def losses_and_gradients(model: nn.Module, kind: str) -> tuple[float, dict[str, torch.Tensor]]:
    ids = torch.arange(4, 60)[None] * 7 % 400
    with torch.autocast("cpu", torch.bfloat16, enabled=kind != "float32"):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    found = {n: w.grad for n, w in trainable(model).items() if w.grad is not None}
    return float(loss.detach()), found


@pytest.mark.parametrize(("kind", "near"), [("float32", 1e-5), ("bfloat16", 3e-2), ("nf4", 3e-2)])
def test_loss_and_gradients_are_pefts(
    tiny_model: Path, kind: str, near: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = learner(tiny_model, kind, False, monkeypatch)
    layers = [m for m in ours.modules() if type(m).__module__.startswith("studio.engine.fast")]
    assert len(layers) == 14
    loss, gradients = losses_and_gradients(ours, kind)
    plain = learner(tiny_model, kind, True, monkeypatch)
    wanted, wanted_gradients = losses_and_gradients(plain, kind)
    assert loss == pytest.approx(wanted, rel=near / 10)
    assert gradients.keys() == wanted_gradients.keys()
    for name, gradient in gradients.items():
        other = wanted_gradients[name]
        assert gradient.dtype == torch.float32
        assert float((gradient - other).norm() / other.norm()) < near, name


def layer(inputs: int = 24, outputs: int = 40, share: float = 0.3) -> adapter.Linear:
    from peft import LoraConfig

    torch.manual_seed(5)
    base = nn.Linear(inputs, outputs)
    base.requires_grad_(False)
    made = adapter.Linear(
        base, "default", LoraConfig(r=4, lora_dropout=share, lora_alpha=6), r=4, lora_alpha=6
    )
    nn.init.normal_(made.lora_B["default"].weight)
    return made.train()


def test_dropout_is_torchs_mathematics_at_the_places_drawn() -> None:
    made = layer()
    x = torch.randn(2, 9, 24, requires_grad=True)
    before = torch.get_rng_state()
    result = made(x)
    into, out = made.lora_A["default"].weight, made.lora_B["default"].weight
    above = torch.randn_like(result)
    ours = torch.autograd.grad(result, (x, into, out), above)
    torch.set_rng_state(before)
    mask = torch.ones(2 * 9 * 24)
    mask[drawn(len(mask), 0.3)[0]] = 0
    kept = x * mask.view_as(x) / 0.7
    wanted = made.base_layer(x) + 1.5 * kept @ into.t() @ out.t()
    torch.testing.assert_close(result, wanted)
    for one, other in zip(ours, torch.autograd.grad(wanted, (x, into, out), above), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_each_layer_draws_its_own_places_and_none_in_evaluation() -> None:
    made = layer()
    x = torch.randn(6, 24)
    assert not torch.equal(made(x), made(x))
    made.eval()
    torch.testing.assert_close(made(x), PlainLinear.forward(made, x))


def test_without_its_adapter_the_base_answers() -> None:
    made = layer(share=0.0)
    x = torch.randn(6, 24)
    made.enable_adapters(False)
    torch.testing.assert_close(made(x), made.base_layer(x))
    made.enable_adapters(True)
    said = made(x)
    made.merge()
    torch.testing.assert_close(made(x), said, atol=1e-5, rtol=1e-5)


def test_a_layer_that_learns_itself_is_left_to_peft() -> None:
    base = nn.Linear(4, 4)
    assert frozen.frozen(base) is None
    base.requires_grad_(False)
    assert frozen.frozen(base) is not None


def test_pefts_own_loading_reads_what_is_saved(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = learner(tiny_model, "float32", False, monkeypatch).eval()
    assert isinstance(ours, PeftModel)
    ours.save_pretrained(str(tmp_path), save_embedding_layers=False)
    again = PeftModel.from_pretrained(load.load_model(tiny_model, torch.float32), tmp_path).eval()
    ids = torch.arange(4, 40)[None]
    torch.testing.assert_close(ours(input_ids=ids).logits, again(input_ids=ids).logits)
