"""export: formats, a checked export, what fails its passport, and wrong usage."""

from __future__ import annotations

import json
from pathlib import Path

from studio.core import exporting
from studio.library import adapters, exports
from studio.library.folders import Home
from tests.support.command_line import ask, call


def test_formats_and_what_reads_them(home: Home) -> None:
    said = ask(home, "export", "formats")
    assert said.code == 0
    assert [row["id"] for row in said.result] == [each.id for each in exporting.FORMATS]
    assert "Ollama" in call(home, "export", "formats").out


def test_an_export_with_its_passport(library: Home, tmp_path: Path) -> None:
    out = tmp_path / "lora"
    said = ask(
        library, "export", "--adapter", "first", "--format", "adapter", "--out", out,
        "--quick-check",
    )  # fmt: skip
    assert said.code == 0, said.lines[-1]
    assert said.result["path"] == str(out)
    assert said.result["bytes"] > 0
    assert said.result["seconds"] > 0
    passport = said.result["passport"]
    assert passport["grade"] == "pass"
    assert passport["loss_positions"] > 0  # the run's own held-out rows
    assert json.loads((out / "passport.json").read_text("utf-8")) == passport
    folder = adapters.find(library, "first")
    assert adapters.facts(folder).made[-1].format == "adapter"
    assert exports.listing(library, str(folder))[0].out == str(out)


def test_without_a_check(library: Home, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "narrow"
    said = ask(
        library, "export", "--model", tiny_model, "--format", "safetensors", "--dtype",
        "float16", "--out", out, "--no-check",
    )  # fmt: skip
    assert said.code == 0, said.lines[-1]
    assert said.result["passport"] is None
    assert not (out / "passport.json").exists()


def test_what_is_missing_or_wrong(library: Home, tmp_path: Path) -> None:
    assert ask(library, "export").code == 2
    assert ask(library, "export", "--adapter", "first", "--format", "adapter").code == 2
    fields = ("export", "--adapter", "first", "--out", tmp_path / "x", "--format")
    assert ask(library, *fields, "tea").code == 1
    assert ask(library, *fields, "adapter", "--dtype", "float16").code == 1
    assert not (tmp_path / "x").exists()
