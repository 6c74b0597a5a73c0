"""Activations kept elsewhere: not a bit of what is learnt changes, and what stays is little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from studio.core import events as ev
from studio.engine import offload, setup, train
from studio.engine.control import Control
from studio.library.folders import Home
from tests.engine.making import changed, context_of, recipe, run_folder, said

LEAST = 256


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "lora"},
        {"method": "lora", "gradient_checkpointing": "yes", "dtype": "bfloat16"},
        {"method": "qlora", "dtype": "bfloat16"},
        {"method": "full", "gradient_checkpointing": "yes"},
        {"method": "full", "dtype": "bfloat16"},
    ],
    ids=["lora", "lora-checkpointed", "qlora", "full-checkpointed", "full-autocast"],
)
def test_gradients_are_the_same_to_the_bit(
    home: Home, tiny_model: Path, settings: dict[str, Any]
) -> None:
    context = context_of(home, run_folder(home, recipe(tiny_model, **settings)))
    ready = setup.make(context, Control(context.channel))
    [batch] = ready.task.batches([ready.train_rows[place] for place in range(8)], tokens=9999)

    def gradients() -> list[torch.Tensor]:
        ready.model.zero_grad()
        with ready.autocast():
            loss = ready.task.loss_sum(batch)
        loss.backward()
        return [weight.grad for weight in ready.model.parameters() if weight.grad is not None]

    plain = gradients()
    ready.task.keeping = offload.keeping(ready.model, LEAST, everywhere=True)
    moved = gradients()
    assert len(plain) == len(moved) > 0
    assert any(bool(one.any()) for one in plain)
    assert all(torch.equal(one, other) for one, other in zip(plain, moved, strict=True))


class Counted:
    """Stands at the way to system memory and counts what goes there and comes back."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.gone: list[int] = []
        self.back: list[int] = []
        there, here = offload.to_system, offload.to_device

        def to_system(values: torch.Tensor) -> Any:
            self.gone.append(values.numel())
            return there(values)

        def to_device(kept: Any, device: torch.device) -> torch.Tensor:
            self.back.append(kept.numel())
            return here(kept, device)

        patch.setattr(offload, "to_system", to_system)
        patch.setattr(offload, "to_device", to_device)


class Layer(nn.Module):
    """Three products of one input, two of them views of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(32, 64), nn.Linear(32, 32)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        gate, up = self.one(values).chunk(2, dim=-1)
        out: torch.Tensor = torch.sin(gate) * up * self.two(values)
        return out


def test_what_is_kept_goes_once_and_weights_and_small_things_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted, layer = Counted(monkeypatch), Layer()
    values = torch.randn(16, 32)
    with offload.keeping(layer, 16 * 32 * 4, everywhere=True)():
        out = layer(values)
    # the input, the two products in one, sin(gate), its product with up, the other product
    assert sorted(counted.gone) == [2048] * 4 + [4096]
    assert counted.back == []
    out.sum().backward()
    assert set(counted.back) == {2048, 4096}
    counted.gone.clear()
    with offload.keeping(layer, 1 << 20, everywhere=True)():
        layer(values)
    with offload.keeping(layer, 1)():  # on a processor it lies in system memory already
        layer(values)
    assert counted.gone == []


def test_a_tensor_freed_meanwhile_is_not_taken_for_the_next_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(monkeypatch)
    weight = torch.ones(256, requires_grad=True)
    with offload.keeping(nn.Module(), 1, everywhere=True)():
        total = sum(((torch.full((256,), float(n)) * weight).sum() for n in range(20)), weight[0])
    assert len(counted.gone) >= 20
    torch.as_tensor(total).backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [191.0] + [190.0] * 255


def test_without_a_card_it_is_left_out_and_said(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=1, offload_activations=True)
    folder = run_folder(home, wanted)
    train.run(context_of(home, folder))
    notes = [event.text for event in said(folder, ev.Note)]
    assert offload.NOTHING_SAVED in notes
    assert said(folder, ev.Started)[-1].decided["offload_activations"] is False
    other = run_folder(home, changed(wanted, offload_activations=False))
    train.run(context_of(home, other))
    assert offload.NOTHING_SAVED not in [event.text for event in said(other, ev.Note)]
