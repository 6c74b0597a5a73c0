"""Files made to do harm: each is refused by name, and none spoils a list that it is part of."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.library import adapter_files, adapters, chat_templates, foreign, models
from studio.library.folders import Home
from studio.library.models.tensors import LONGEST_HEADER, Unreadable, read

DEEP = "[" * 100_000 + "]" * 100_000
PAIR = {"data_offsets": [0, 8], "dtype": "F32", "shape": [2]}


def safetensors(path: Path, header: str | dict[str, Any], content: bytes = b"\0" * 8) -> Path:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


def test_an_honest_file_is_read(tmp_path: Path) -> None:
    [tensor] = read(safetensors(tmp_path / "x", {"w": PAIR}))
    assert (tensor.shape, tensor.bytes) == ((2,), 8)


@pytest.mark.parametrize(
    "entry",
    [
        {"shape": [1 << 60]},
        {"shape": [-2, -1]},
        {"shape": [2], "dtype": "F64"},
        {"shape": [3]},
        {"shape": "x"},
        {"shape": [float("inf")]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": [8, 0]},
        {"data_offsets": [0, 1 << 62]},
        {"data_offsets": [float("inf"), 8]},
        {"data_offsets": []},
        [],
    ],
    ids=str,
)  # fmt: skip
def test_a_tensor_that_is_not_what_it_says(tmp_path: Path, entry: Any) -> None:
    whole = PAIR | entry if isinstance(entry, dict) else entry
    with pytest.raises(Unreadable):
        read(safetensors(tmp_path / "x", {"w": whole}))


@pytest.mark.parametrize("header", [DEEP, "{", "[]", "1", '{"w": ' + DEEP + "}", "\0"])
def test_a_header_that_is_none(tmp_path: Path, header: str) -> None:
    with pytest.raises(Unreadable):
        read(safetensors(tmp_path / "x", header))


def test_a_header_as_long_as_memory(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for length in (LONGEST_HEADER + 1, (1 << 64) - 1):
        path.write_bytes(struct.pack("<Q", length) + b"{}")
        with pytest.raises(Unreadable):
            read(path)


def test_one_bad_model_spoils_no_list(home: Home, tiny_model: Path) -> None:
    for name in ("good", "config", "index", "weights", "tokenizer"):
        shutil.copytree(tiny_model, home.models / name)
    (home.models / "config" / "config.json").write_text(DEEP, "utf-8")
    (home.models / "index" / "model.safetensors").unlink()
    (home.models / "index" / "model.safetensors.index.json").write_text(DEEP, "utf-8")
    safetensors(home.models / "weights" / "model.safetensors", DEEP)
    (home.models / "tokenizer" / "tokenizer_config.json").write_text(DEEP, "utf-8")
    found = {Path(row.path).name: row for row in models.listing(home)}
    assert set(found) >= {"good", "config", "index", "weights", "tokenizer"}
    assert not models.errors(found["good"])
    assert all(models.errors(found[name]) for name in ("config", "index", "weights"))
    with pytest.raises(StudioError, match="nested"):
        chat_templates.read_json(home.models / "tokenizer" / "tokenizer_config.json")


@pytest.mark.parametrize(
    "config",
    [
        DEEP,
        "[]",
        '{"peft_type": "LORA", "r": 1e999}',
        '{"peft_type": "LORA", "r": "many"}',
        '{"peft_type": "LORA", "r": -1}',
        '{"peft_type": "LORA", "r": 4, "lora_alpha": []}',
        '{"peft_type": "LORA", "r": 4, "megatron_config": {}, "megatron_core": "antigravity", '
        '"use_qalora": true}',
        '{"peft_type": "PROMPT_TUNING", "r": 4}',
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
    ids=range(9),
)
def test_an_adapter_that_is_none(home: Home, tmp_path: Path, config: str | bytes) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    file = folder / "adapter_config.json"
    file.write_bytes(config if isinstance(config, bytes) else config.encode())
    with pytest.raises(StudioError):
        adapter_files.read_config(folder)
    shutil.copytree(folder, home.adapters / "bad")
    [row] = adapters.listing(home)
    assert row.problem


def test_a_label_that_is_none_spoils_no_list(home: Home, tiny_model: Path) -> None:
    folder = home.adapters / "bad"
    folder.mkdir(parents=True)
    (folder / "studio.json").write_text(DEEP, "utf-8")
    assert adapters.listing(home)


@pytest.mark.parametrize("harm", ["a file in a file", "deflate", "cut off"])
def test_an_archive_that_is_broken(home: Home, tmp_path: Path, harm: str) -> None:
    path = tmp_path / "adapter.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if harm == "a file in a file":
            archive.writestr("a/README.md", "x")
            archive.writestr("a/README.md/adapter_config.json", "{}")
        archive.writestr("a/adapter_config.json", "{}" * 5000)
    content = bytearray(path.read_bytes())
    if harm == "deflate":
        begin = 30 + len("a/adapter_config.json")
        content[begin : begin + 8] = b"\xff" * 8
    path.write_bytes(content[: len(content) // 2] if harm == "cut off" else content)
    with pytest.raises(StudioError, match=r"damaged|can't be read"):
        adapters.import_path(home, path)
    assert not list(home.adapters.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_that_lead_elsewhere_are_left_behind(tmp_path: Path) -> None:
    """A README that is a link to somebody's key would be handed on with the adapter."""
    secret = tmp_path / "id_rsa"
    secret.write_text("private", "utf-8")
    adapter = tmp_path / "models--x" / "snapshots" / "1"
    blobs = tmp_path / "models--x" / "blobs"
    adapter.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "ab").write_text("{}", "utf-8")
    (adapter / "tokenizer.json").symlink_to("../../blobs/ab")  # as the hub's cache does it
    (adapter / "README.md").symlink_to(secret)
    (adapter / "LICENSE").write_text("Apache", "utf-8")
    assert {file.name for file in adapter_files.belonging(adapter)} == {"tokenizer.json", "LICENSE"}
    assert not foreign.stays(adapter / "README.md")
