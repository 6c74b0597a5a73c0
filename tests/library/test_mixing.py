"""Adapters are looked at before any of them loads: real ones of every kind, and broken ones."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from safetensors.numpy import load_file, save_file

from studio.core.errors import StudioError
from studio.core.mix_problems import blocks
from studio.core.mixing import Ingredient, Mix
from studio.library import adapter_files, adapters, chats, mixing, models
from studio.library.folders import Home
from tests.support import adapters as made
from tests.support.adapter_files import write_adapter

KINDS: dict[str, dict[str, Any]] = {
    "dora": {"use_dora": True},
    "bias": {"lora_bias": True, "init_lora_weights": True},
    "tokens": {"trainable_token_indices": [1, 5, 7]},
    "whole": {"modules_to_save": ["norm"]},
    "": {"use_rslora": True, "rank_pattern": {"q_proj": 8}},
}


def mix_of(*folders: Path, **settings: Any) -> Mix:
    return Mix(adapters=tuple(Ingredient(adapter=str(one)) for one in folders), **settings)


@pytest.mark.filterwarnings("ignore:.lora_bias=True. was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:Adapter .default.. 2 LoRA tensor:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_what_an_adapter_holds(tmp_path: Path, tiny_model: Path, kind: str) -> None:
    settings = {"target_modules": ["q_proj"]} | KINDS[kind]
    part = mixing.part(made.make_adapter(tiny_model, tmp_path / "adapter", **settings))
    assert list(part.kinds) == ([kind] if kind else [])
    assert len(part.layers) == 2
    assert part.rank == (4 if kind else 8)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings:UserWarning")
def test_a_base_that_came_along_is_only_the_bases_own(tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "a", target_modules=["embed_tokens"])
    assert mixing.part(adapter, tiny_model).kinds == {}
    assert mixing.part(adapter).kinds == {"whole": 1}, "without the base nobody knows"
    file = adapter / adapter_files.WEIGHTS
    tensors = load_file(file)
    name = next(name for name in tensors if "base_layer" in name)
    tensors[name][3, 4] += 1
    save_file(tensors, file)
    assert mixing.part(adapter, tiny_model).kinds == {"whole": 1}


def test_parameters_inside_layers_and_half_pairs(tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "a", target_modules=["q_proj"])
    file = adapter / adapter_files.CONFIG
    config = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode(config | {"target_parameters": ["experts.down_proj"]}))
    assert mixing.part(adapter).kinds == {"parameters": 1}
    tensors = load_file(adapter / adapter_files.WEIGHTS)
    tensors.pop(next(name for name in tensors if "lora_A" in name))
    save_file(tensors, adapter / adapter_files.WEIGHTS)
    with pytest.raises(StudioError, match="pair"):
        mixing.part(adapter)


def test_a_recipe_says_by_content_what_it_was_made_of(tmp_path: Path, tiny_model: Path) -> None:
    folders = [made.make_adapter(tiny_model, tmp_path / name, 1) for name in ("a", "ü b")]
    known = adapters.AdapterFacts(name="Ü", base="x", base_digest=models.inspect(tiny_model).digest)
    (folders[1] / adapters.FACTS_FILE).write_bytes(msgspec.json.encode(known))
    parts = [mixing.part(folder) for folder in folders]
    kept = mixing.stamped(mix_of(*folders, method="ties"), parts)
    assert kept.base_digest == known.base_digest
    assert [one.name for one in kept.adapters] == ["a", "Ü"]
    assert kept.adapters[0].digest == kept.adapters[1].digest != ""
    mixing.write(tmp_path, kept)
    assert mixing.read(tmp_path) == kept
    (tmp_path / mixing.FILE).write_text("format: 99\nadapters: []\n", "utf-8")
    with pytest.raises(StudioError, match="newer"):
        mixing.read(tmp_path)
    (tmp_path / mixing.FILE).write_text("- a\n", "utf-8")
    with pytest.raises(StudioError, match="no table"):
        mixing.read(tmp_path)


def test_what_can_not_be_read_is_a_problem_beside_the_others(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    whole = made.make_adapter(tiny_model, tmp_path / "whole", 1)
    broken = made.make_adapter(tiny_model, tmp_path / "broken", 2, r=2)
    file = broken / adapter_files.WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])
    parts, found = mixing.look(home, mix_of(whole, broken, tmp_path / "gone", method="linear"))
    assert blocks(found)
    assert [one.field for one in found] == ["adapters.1", "adapters.2"]
    assert [one.rank for one in parts] == [4, 0, 0]


def test_an_adapter_of_another_shape_than_the_base(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "a", 1, target_modules=["q_proj"])
    tensors = load_file(adapter / adapter_files.WEIGHTS)
    for name in tensors:
        if "lora_A" in name:
            tensors[name] = tensors[name][:, :-2].copy()
    save_file(tensors, adapter / adapter_files.WEIGHTS)
    _, found = mixing.look(home, mix_of(adapter), tiny_model)
    assert "doesn't fit the model" in found[0].text


def test_drafts_that_nobody_wants_any_more_are_swept(home: Home, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "one", size=1.0)
    drafts = [mixing.draft(home, mix_of(adapter, seed=seed)) for seed in range(4)]
    spoken, again, forgotten, fresh = drafts
    for folder in (spoken, again, forgotten):
        os.utime(folder, (time.time(), time.time() - 8 * 24 * 3600))
    chats.save(home, chats.new(model=str(tmp_path), sides=[str(spoken)]))
    assert mixing.draft(home, mix_of(adapter, seed=1)) == again
    mixing.sweep_drafts(home)
    assert {folder.exists() for folder in (spoken, again, fresh)} == {True}
    assert not forgotten.exists()
