"""What can't be merged is refused by name, and nothing is left at the target."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core.commands import Merge
from studio.core.errors import StudioError
from studio.engine import failures, merge, streaming_merge
from studio.library.folders import Home
from tests.engine.merging import (
    refused,
    run,
    untied,
)
from tests.support import adapters as made
from tests.support import engines
from tests.support import tiny_model as tiny


def test_what_cannot_be_merged_is_named(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text("utf-8")) | {"target_parameters": ["experts.down_proj"]}
    path.write_text(json.dumps(config), "utf-8")
    assert "target_parameters" in refused(home, tiny_model, adapter, tmp_path / "merged").text


def test_a_quantised_base_is_refused(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    from studio.engine.load import load_model

    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    four = load_model(tiny_model, torch.float32, bits=4, device=torch.device("cpu"))
    four.save_pretrained(tmp_path / "four bits")
    with pytest.raises(StudioError, match="round the training away"):
        run(home, tmp_path / "four bits", adapter, tmp_path / "merged")
    config = tmp_path / "four bits" / "config.json"
    hidden = json.loads(config.read_text("utf-8"))
    del hidden["quantization_config"]
    config.write_text(json.dumps(hidden), "utf-8")
    with pytest.raises(StudioError, match="Quantised base"):
        run(home, tmp_path / "four bits", adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_targets_that_wont_do(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep", "utf-8")
    assert refused(home, tiny_model, adapter, full).title == "The folder is taken"
    assert (full / "mine.txt").read_text("utf-8") == "keep"
    inside = refused(home, tiny_model, adapter, tiny_model / "merged")
    assert inside.title == "Inside a model"
    assert refused(home, tiny_model, adapter, adapter / "x").title == "Inside an adapter"
    under = refused(home, tiny_model, adapter, full / "mine.txt" / "merged")
    assert under.title == "Folder is not writable"


def test_too_little_space_is_said_before_anything_is_written(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert refused(home, tiny_model, adapter, tmp_path / "merged").title == "Disk is full"


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(streaming_merge, "_write_tensor", full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space") as caught:
        run(home, tiny_model, adapter, tmp_path / "merged")
    assert failures.to_error(caught.value).title == "Disk is full"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("targets", ["down_proj", "lm_head"], ids=["changed", "copied"])
def test_a_base_that_is_cut_short_meanwhile_is_no_zeros(
    tmp_path: Path, tiny_model: Path, targets: str
) -> None:
    base = untied(tiny_model, tmp_path / "base")
    modules = [targets] if targets != "lm_head" else ["q_proj"]
    adapter = made.make_adapter(base, tmp_path / "adapter", target_modules=modules)
    todo = streaming_merge.plan(base, adapter)
    place = {output.name: output.source for output in todo.outputs}
    name = next(n for n in place if n.endswith(f"{targets}.weight"))
    with (base / "model.safetensors").open("r+b") as file:
        file.truncate(place[name].begin + 10)
    (tmp_path / "out").mkdir()
    with pytest.raises(StudioError, match="ends before"):
        streaming_merge.write(todo, tmp_path / "out")


def test_another_bases_adapter_is_refused(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny, "HIDDEN", 32)
    other = made.make_adapter(tiny.build(tmp_path / "narrow"), tmp_path / "adapter")
    error = refused(home, tiny_model, other, tmp_path / "merged")
    assert error.title == "An adapter made for another base"


def test_a_stray_weight_is_refused(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors["base_model.model.model.layers.0.surprise.bias"] = torch.zeros(3)
    save_file(tensors, file)
    refused(home, tiny_model, adapter, tmp_path / "merged")
    tensors.pop("base_model.model.model.layers.0.surprise.bias")
    tensors.pop(next(name for name in tensors if "lora_B" in name))
    save_file(tensors, file)
    assert refused(home, tiny_model, adapter, tmp_path / "merged").title == "Damaged adapter"


def test_numbers_too_large_are_refused(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", lora_alpha=1e9)
    job = Merge(
        adapter=str(adapter), out=str(tmp_path / "m"), base=str(tiny_model), dtype="float16"
    )
    with pytest.raises(StudioError, match="overflows"):
        merge.run(engines.context_of(home, job))
