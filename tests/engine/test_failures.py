"""Each exception that can be foreseen is one sentence with something to do."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from studio.core.errors import StudioError
from studio.engine import failures, load
from tests.support import tiny_model as tiny


@pytest.fixture
def broken(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be broken."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def told_of(action: Callable[[], object]) -> StudioError:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action()
    told = failures.to_error(caught.value)
    assert told.text.endswith(".")
    assert told.fix.endswith(".")
    assert not failures.to_event(caught.value).fault
    return told


def test_weights_that_are_not_there(broken: Path) -> None:
    (broken / "model.safetensors").unlink()
    assert told_of(lambda: load.load_model(broken)).title == "Weights are missing"


def test_a_shard_that_is_not_there(broken: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model.safetensors"}}
    (broken / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    assert "model-1.safetensors" in told_of(lambda: load.load_model(broken)).text


@pytest.mark.parametrize("kept", [4, 5000, 200_000])
def test_weights_that_are_cut_short(broken: Path, kept: int) -> None:
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    assert told_of(lambda: load.load_model(broken)).title == "Weights are damaged"


@pytest.mark.usefixtures("warnings_expected")
def test_weights_with_tensors_missing(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text("utf-8"))
    config["num_hidden_layers"] += 1
    (broken / "config.json").write_text(json.dumps(config), "utf-8")
    told = told_of(lambda: load.load_model(broken))
    assert told.title == "Weights are incomplete"
    assert "layers.2" in told.text


@pytest.mark.usefixtures("warnings_expected")
def test_weights_of_other_shapes_than_the_config_says(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text("utf-8"))
    config["vocab_size"] //= 2
    (broken / "config.json").write_text(json.dumps(config), "utf-8")
    told = told_of(lambda: load.load_model(broken))
    assert told.title == "Weights and settings don't fit"


def test_an_unknown_architecture(broken: Path) -> None:
    (broken / "config.json").write_text(json.dumps({"model_type": "alien"}), "utf-8")
    told = told_of(lambda: load.load_model(broken))
    assert told.title == "Unknown architecture"
    assert "alien" in told.text


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    assert told_of(lambda: load.load_model(tmp_path)).title == "Not a model folder"


def test_a_damaged_config(broken: Path) -> None:
    (broken / "config.json").write_text("{", "utf-8")
    assert told_of(lambda: load.load_model(broken)).title == "A settings file can't be read"


def test_a_model_with_code_of_its_own_is_not_run(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text("utf-8"))
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (broken / "config.json").write_text(json.dumps(config), "utf-8")
    (broken / "own.py").write_text("raise SystemExit('this must not run')", "utf-8")
    assert told_of(lambda: load.load_model(broken)).title in (
        "Model wants to run its own code",
        "Unknown architecture",
    )


def test_an_adapter_of_another_base(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = get_peft_model(load.load_model(tiny_model), LoraConfig(target_modules="all-linear"))
    adapted.save_pretrained(str(tmp_path / "adapter"))
    monkeypatch.setattr(tiny, "HIDDEN", 128)
    wider = load.load_model(tiny.build(tmp_path / "wider"))
    told = told_of(lambda: PeftModel.from_pretrained(wider, str(tmp_path / "adapter")))
    assert told.title == "Adapter and model don't fit together"


def test_more_memory_than_there_is() -> None:
    assert told_of(lambda: torch.empty(1 << 50)).title == "Out of memory"
    assert "This computer" in told_of(lambda: torch.empty(1 << 50)).text


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (MemoryError(), "Out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "Out of memory"),
        (RuntimeError("CUDA error: out of memory"), "Out of memory"),
        (RuntimeError("CUDA error: an illegal memory access"), "The graphics card reported an"),
        (OSError(errno.ENOSPC, "No space left on device"), "Disk is full"),
        (PermissionError(errno.EACCES, "denied", "/models/x"), "Folder is not writable"),
        (OSError(errno.EROFS, "read-only", "/models/x"), "Folder is not writable"),
    ],
)
def test_what_only_a_card_or_a_system_says(error: Exception, title: str) -> None:
    told = failures.to_error(error)
    assert told.title.startswith(title)
    assert told.fix


def test_the_cause_counts_and_the_studios_own_words_stand() -> None:
    own = StudioError("Title", "Text.", "Fix.")
    assert failures.to_error(own) is own
    outer = RuntimeError("wrapped")
    outer.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert failures.to_error(outer).title == "Disk is full"


def test_what_nobody_foresaw_is_our_fault() -> None:
    event = failures.to_event(KeyError("surprise"))
    assert event.fault
    assert "surprise" in event.text
    assert "engine.log" in event.fix
