"""The number format: what the machine does well, and float16 with its loss scaling."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from studio.core import events as ev
from studio.core import watchdog
from studio.engine import precision, setup, train
from studio.engine.control import Control
from studio.engine.learner import Learner
from studio.library.folders import Home
from tests.engine.making import context_of, eval_losses, recipe, run_folder, said

CPU, CARD = torch.device("cpu"), torch.device("cuda", 0)


def test_a_processor_takes_what_it_does_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast, slow in (("bfloat16", "float32"), ("float32", "bfloat16")):
        rates = {precision.NAMES[fast]: 2.0, precision.NAMES[slow]: 1.0}
        monkeypatch.setattr(precision, "_rate", lambda dtype, rates=rates: rates[dtype])
        found = precision.decide("auto", CPU)
        assert found.name == fast
        assert f"{fast} 2 GFLOP/s" in found.reason


def test_the_probe_measures_something() -> None:
    assert precision._rate(torch.float32) > 0.01


def test_a_processor_does_what_is_asked_but_float16() -> None:
    assert precision.decide("float32", CPU).name == "float32"
    assert precision.decide("bfloat16", CPU).name == "bfloat16"
    found = precision.decide("float16", CPU)
    assert found.name != "float16"
    assert "float16 is for cards" in found.reason


@pytest.mark.parametrize(
    ("wanted", "has_bf16", "expected"),
    [
        ("auto", True, "bfloat16"),
        ("auto", False, "float16"),
        ("bfloat16", False, "float16"),
        ("float16", True, "float16"),
        ("float32", True, "float32"),
    ],
)
def test_a_card_without_bfloat16_gets_float16(
    monkeypatch: pytest.MonkeyPatch, wanted: str, has_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    found = precision.decide(wanted, CARD)  # type: ignore[arg-type]
    assert found.name == expected
    assert found.scaled == (expected == "float16")


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """float16 with a loss scaler on this processor, put together as accelerate does on a card."""
    plain = setup._accelerator

    def with_scaler(*wanted: object) -> object:
        accelerator = plain(*wanted)  # type: ignore[arg-type]
        AcceleratorState._shared_state["_mixed_precision"] = "fp16"
        accelerator.native_amp = True
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14)
        return accelerator

    monkeypatch.setitem(setup._MIXED, "float16", "no")
    monkeypatch.setattr(setup, "_accelerator", with_scaler)
    monkeypatch.setattr(
        precision, "decide", lambda *_: precision.Precision(name="float16", reason="a test")
    )


@pytest.mark.usefixtures("scaled")
@pytest.mark.parametrize("method", ["lora", "full", "qlora"])
def test_float16_learns_with_a_scaled_loss(home: Home, tiny_model: Path, method: str) -> None:
    rate = 1e-3 if method == "full" else 5e-3
    folder = run_folder(home, recipe(tiny_model, method, max_steps=12, learning_rate=rate))
    train.run(context_of(home, folder))
    assert said(folder, ev.Started)[-1].decided["dtype"] == "float16"
    course = eval_losses(folder)
    assert course[-1] < course[0]  # type: ignore[operator]


@pytest.mark.usefixtures("scaled")
def test_an_overflow_skips_the_step_and_lowers_the_scale(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model))
    context = context_of(home, folder)
    ready = setup.make(context, Control(context.channel))
    worker = Learner(context, ready, 100, Control(context.channel))
    scaler = ready.accelerator.scaler
    rows = [ready.train_rows[index] for index in range(8)]
    worker.step(rows)
    before = {name: weight.clone() for name, weight in ready.model.state_dict().items()}
    rate, scale = worker.scheduler.get_last_lr(), scaler.get_scale()
    hook = overflow(worker)
    result = worker.step(rows)
    hook.remove()
    assert result.skipped
    assert worker.watchdog.hear(2, result) is None
    assert scaler.get_scale() == scale / 2
    assert worker.scheduler.get_last_lr() == rate
    for name, weight in ready.model.state_dict().items():
        assert torch.equal(weight, before[name])
    assert not worker.step(rows).skipped


@pytest.mark.usefixtures("scaled")
def test_overflow_without_end_is_divergence(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model))
    context = context_of(home, folder)
    ready = setup.make(context, Control(context.channel))
    worker = Learner(context, ready, 100, Control(context.channel))
    overflow(worker)
    rows = [ready.train_rows[index] for index in range(2)]
    for step in range(1, watchdog.MOST_SKIPS):
        assert worker.watchdog.hear(step, worker.step(rows)) is None
    trouble = worker.watchdog.hear(watchdog.MOST_SKIPS, worker.step(rows))
    assert trouble is not None
    assert trouble.title == "Training diverged"


def overflow(worker: Learner) -> torch.utils.hooks.RemovableHandle:
    """Make one gradient infinite, as an overflow of float16 does."""
    return worker._weights[0].register_hook(lambda grad: torch.full_like(grad, float("inf")))
