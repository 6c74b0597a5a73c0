"""The script for cards runs through on a processor, and one broken case doesn't stop it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from studio.core import accelerations
from tests.gpu import cases, shapes, verify
from tests.gpu.cases import Case

cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a card")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.build("tiny", tmp_path_factory.mktemp("models") / "tiny")


@cpu
def test_cases_that_fail_or_do_not_fit_here_are_recorded_and_the_rest_goes_on(tiny: Path) -> None:
    wanted = [
        Case(size="1b"),
        Case(size="tiny", attention="flash_attention_2"),
        Case(size="tiny", attention="no such kind", length=32, rows=2),
        Case(size="tiny", method="qlora", loss="whole", without="adapter", length=32, rows=2),
    ]
    models = verify.Models(tiny.parent, {"tiny": tiny})
    found = list(verify.verify_all(wanted, models, minutes=5))
    assert [one["status"] for one in found] == ["left out", "left out", "failed", "done"]
    assert "no such kind" in found[2]["said"]
    losses = found[3]["losses"]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert found[3]["tokens_per_second"] > 0
    measured = found[3]["measured"]
    assert measured["peak_bytes"] > 0
    assert measured["ratio"] > 0


def test_a_model_that_cannot_be_made_fails_its_cases_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    models = verify.Models(tmp_path / "file", {})
    wanted = [Case(size="tiny"), Case(size="tiny", attention="flash_attention_2")]
    found = list(verify.verify_all(wanted, models, minutes=1))
    assert found[0]["status"] == "failed"
    assert len(found) == 2


def test_no_time_left_is_said() -> None:
    (one,) = verify.verify_all([Case(size="tiny")], verify.Models(Path(), {}), minutes=0)
    assert (one["status"], one["why"]) == ("left out", "no time left")


def test_every_path_is_among_the_cases() -> None:
    starter = cases.of_size("starter", 64, every=True)
    assert {case.method for case in starter} == {"lora", "qlora", "full"}
    assert {case.attention for case in starter} == set(cases.ATTENTIONS)
    assert {case.optimizer for case in starter} == set(cases.OPTIMIZERS)
    assert {case.job for case in starter} == {"train", "merge", "chat"}
    assert {case.without for case in starter} == {"", *accelerations.NAMES}
    assert {case.also for case in starter} == {"", *cases.COMPILED}
    assert {case.loss for case in starter} == {"auto", "whole"}
    for lever in ("gradient_checkpointing", "offload_activations", "optimizer_in_backward"):
        assert any(case.training.get(lever) for case in starter), lever
    large = cases.of_size("8b", 64, every=False)
    assert {case.job for case in large} == {"train", "merge", "chat"}
    assert len({case.name for case in starter}) == len(starter)
    assert all(case.method != "full" for case in large)


@pytest.mark.parametrize(("size", "billions"), [("1b", 1.24), ("8b", 8.03)])
def test_shapes_are_of_their_size(size: str, billions: float, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.device("meta"):
        made = AutoModelForCausalLM.from_config(LlamaConfig(**shapes._config(size)))
    assert sum(each.numel() for each in made.parameters()) / 1e9 == pytest.approx(billions, 0.01)
