"""Runs with everything on learn what runs with everything switched off learn."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from studio.core import accelerations
from studio.core import events as ev
from studio.core.recipe import LoraPart, Recipe
from studio.engine import train
from studio.library import settings
from studio.library.folders import Home
from tests.engine.making import (
    context_of,
    eval_losses,
    losses,
    padded,
    recipe,
    run_folder,
    said,
)


def course(home: Home, wanted: Recipe) -> tuple[list[float | None], list[float | None], dict]:
    folder = run_folder(home, wanted)
    train.run(context_of(home, folder))
    return losses(folder), eval_losses(folder), said(folder, ev.Started)[-1].decided


@pytest.mark.parametrize(
    ("name", "how", "near"),
    [
        ("lora", {}, 2e-4),
        ("lora", {"dtype": "bfloat16"}, 1e-2),
        ("lora", {"gradient_checkpointing": "yes"}, 2e-4),
        ("qlora", {"dtype": "bfloat16"}, 1e-2),
        ("full", {"learning_rate": 1e-3}, 2e-4),
        ("full", {"learning_rate": 1e-3, "dtype": "bfloat16"}, 1e-2),
        ("lora", {"dtype": "bfloat16", "base_precision": "32"}, 1e-2),
    ],
)
def test_the_same_is_learnt_without_any(
    home: Home, tiny_model: Path, name: str, how: dict[str, object], near: float
) -> None:
    wanted = recipe(tiny_model, name, epochs=1, **how)
    fast, fast_held_out, decided = course(home, wanted)
    assert set(decided["accelerations"]) - {"pieces"} == {"adapter", "head", "rows", "layers"}
    assert decided["packing"]
    settings.save(home, settings.Settings(without=",".join(accelerations.NAMES)))
    plain, held_out, decided = course(home, padded(wanted))
    assert not decided["accelerations"]
    assert not decided["attention"]
    assert not decided["packing"]
    assert fast == pytest.approx(plain, rel=near)
    assert fast_held_out == pytest.approx(held_out, rel=near)


def test_with_dropout_the_held_out_loss_stays_within_one_percent(
    home: Home, tiny_model: Path
) -> None:
    wanted = msgspec.structs.replace(
        recipe(tiny_model, epochs=4), lora=LoraPart(rank=8, alpha=16.0, dropout=0.05)
    )
    _, fast, _ = course(home, wanted)
    settings.save(home, settings.Settings(without=",".join(accelerations.NAMES)))
    _, plain, _ = course(home, padded(wanted))
    assert fast[-1] == pytest.approx(plain[-1], rel=1e-2)
    assert fast[-1] < fast[0] - 0.3  # type: ignore[operator]
