"""An adapter whose settings and weights disagree is refused, with every reason at once."""

from __future__ import annotations

import errno
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from studio.core.errors import StudioError
from studio.library import adapters
from studio.library.adapters import AdapterFacts, importing
from studio.library.folders import Home
from tests.support.adapter_files import write_adapter

STEM = "base_model.model.model.layers.{}.self_attn.q_proj.{}"
Tensors = dict[str, np.ndarray]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "made elsewhere", size=1.0)


def changed(folder: Path, change: Callable[[Tensors], None]) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def set_to(folder: Path, **settings: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | settings), "utf-8")


def refusal(home: Home, source: Path) -> StudioError:
    with pytest.raises(StudioError) as caught:
        adapters.import_path(home, source)
    assert list(home.adapters.iterdir()) == []
    assert not list(home.cache.glob("*import*"))
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"r": 8}, "rank 4, and the settings say 8"),
        ({"rank_pattern": {"layers.1.self_attn.q_proj": 2}}, "layers.1.self_attn.q_proj have rank"),
        ({"use_dora": True}, "no magnitudes"),
        ({"lora_bias": True}, "say biases"),
        ({"target_modules": ["v_proj"]}, "which no target names"),
        ({"target_modules": r".*v_proj"}, "which no target names"),
        ({"modules_to_save": ["lm_head"]}, "name lm_head, which has no weights"),
        ({"trainable_token_indices": [1, 2]}, "name trained tokens"),
    ],
)
def test_settings_that_speak_of_other_weights(
    home: Home, made: Path, settings: dict[str, object], said: str
) -> None:
    set_to(made, **settings)
    error = refusal(home, made)
    assert error.title == "Settings and weights disagree"
    assert said in error.text


def lose_half(tensors: Tensors) -> None:
    del tensors[STEM.format(0, "lora_B.weight")]


def add_magnitude(tensors: Tensors) -> None:
    tensors[STEM.format(0, "lora_magnitude_vector")] = np.ones(64, np.float32)


def add_bias(tensors: Tensors) -> None:
    tensors[STEM.format(0, "lora_B.bias")] = np.ones(64, np.float32)


def add_stranger(tensors: Tensors) -> None:
    tensors["base_model.model.model.norm.weight"] = np.ones(64, np.float32)


def as_integers(tensors: Tensors) -> None:
    tensors.update({name: value.astype(np.int8) for name, value in tensors.items()})


def flatten(tensors: Tensors) -> None:
    name = STEM.format(0, "lora_A.weight")
    tensors[name] = tensors[name].reshape(-1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lose_half, "half of the weights of model.layers.0.self_attn.q_proj"),
        (add_magnitude, "the settings say no DoRA"),
        (add_bias, "there is a bias for"),
        (add_stranger, "weights of model.norm.weight"),
        (as_integers, "stored as I8"),
        (flatten, "rank 0"),
        (dict.clear, "no weights"),
    ],
)
def test_weights_that_the_settings_do_not_speak_of(
    home: Home, made: Path, change: Callable[[Tensors], None], said: str
) -> None:
    changed(made, change)
    assert said in refusal(home, made).text.replace("There", "there")


def test_all_reasons_come_at_once(home: Home, made: Path) -> None:
    changed(made, lose_half)
    set_to(made, use_dora=True, modules_to_save=["lm_head"], r=16)
    error = refusal(home, made)
    assert "There are 3 more reasons" in error.text
    fields = {problem.field for problem in error.problems}
    assert fields == {"weights", "use_dora", "modules_to_save", "r"}
    assert all(problem.text[0].isupper() and problem.fix for problem in error.problems)


def test_targets_of_other_kinds_of_models_do_no_harm(home: Home, made: Path) -> None:
    """Recipes name the layers of many architectures at once; peft takes those that are there."""
    set_to(made, target_modules=["q_proj", "c_attn", "query_key_value"])
    assert adapters.import_path(home, made)


def packed(folder: Path, archive: Path) -> Path:
    return Path(shutil.make_archive(str(archive.with_suffix("")), "zip", folder))


def test_an_archive_of_several_adapters(home: Home, tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = write_adapter(tmp_path / "all" / name)
        (folder / "train.py").write_text("raise SystemExit", "utf-8")
    found = adapters.import_path(home, packed(tmp_path / "all", tmp_path / "packed.zip"))
    assert {path.name for path in found} == {"one", "two"}
    names = {file.name for path in found for file in path.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "studio.json"}
    assert not list(home.cache.glob("*import*"))


def test_files_at_the_top_of_an_archive_are_called_after_it(
    home: Home, made: Path, tmp_path: Path
) -> None:
    [folder] = adapters.import_path(home, packed(made, tmp_path / "Orders.zip"))
    assert adapters.facts(folder).name == "Orders"


def test_of_an_archive_either_all_come_or_none(home: Home, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        folder = write_adapter(tmp_path / "all" / name)
        if name != "two":
            set_to(folder, r=8)
    error = refusal(home, packed(tmp_path / "all", tmp_path / "packed.zip"))
    assert "2 can't be used" in error.text
    assert "one" in error.text
    assert "three" in error.text


def test_a_disk_that_fills_up_in_the_middle_leaves_none_of_them(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        write_adapter(tmp_path / "all" / name)
    add = importing.add

    def full(home: Home, source: Path, name: str, known: AdapterFacts) -> Path:
        if list(home.adapters.iterdir()):
            raise OSError(errno.ENOSPC, "no space left")
        return add(home, source, name, known)

    monkeypatch.setattr(importing, "add", full)
    with pytest.raises(OSError, match="no space left"):
        adapters.import_path(home, packed(tmp_path / "all", tmp_path / "packed.zip"))
    assert adapters.listing(home) == []


@pytest.mark.parametrize(
    "name", ["../adapter_config.json", "/etc/adapter_config.json", "C:\\a\\b.json", "a\\..\\..\\x"]
)
def test_an_archive_that_leads_out_is_refused(
    home: Home, made: Path, tmp_path: Path, name: str
) -> None:
    archive = packed(made, tmp_path / "packed.zip")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(zipfile.ZipInfo(name), "{}")
    assert refusal(home, archive).title == "Archive leads out of itself"


def test_archives_that_are_none_or_too_much(
    home: Home, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = packed(made, tmp_path / "packed.zip")
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    assert refusal(home, archive).title == "Archive can't be read"
    flipped = bytearray(content)
    flipped[content.index(b"adapter_config.json") + 40] ^= 0xFF
    archive.write_bytes(flipped)
    refusal(home, archive)
    archive.write_bytes(content)
    monkeypatch.setattr("studio.library.adapters.importing.MOST_BYTES", 1000)
    assert refusal(home, archive).title == "Archive is too large"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("readme.txt", "nothing here")
    assert refusal(home, archive).title == "No adapter in it"
