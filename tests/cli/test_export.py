"""export: formats, a checked export, what fails its passport, and wrong usage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from studio.core import exporting
from studio.core.passport import Check, Example, Passport, Token
from studio.library import adapters, exports
from studio.library.exports import ExportFacts
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


def test_passports_stay_readable(library: Home, tmp_path: Path) -> None:
    out = tmp_path / "shown"
    made = ask(
        library, "export", "--adapter", "first", "--format", "adapter", "--out", out,
        "--quick-check",
    )  # fmt: skip
    assert made.code == 0, made.lines[-1]
    told = ask(library, "export", "list", "--adapter", "first")
    assert told.result[0]["path"] == str(out)
    assert told.result[0]["grade"] == "pass"
    assert str(out) in [row["path"] for row in ask(library, "export", "list").result]
    one = ask(library, "export", "show", "shown").result
    assert one["passport"] == made.result["passport"]
    assert one["examples"][0]["live"]
    folder = adapters.find(library, "first")
    shutil.rmtree(out)
    words = call(library, "export", "show", out).out
    assert f"{out} (gone)" in words
    assert "Check    pass: Over" in words
    assert adapters.facts(folder).made[-1].grade == "pass"
    assert ask(library, "export", "show", "tea").code == 1


def test_a_failed_export_is_listed_as_failed(home: Home, tmp_path: Path) -> None:
    checked = Passport(
        grade="fail", runtime="transformers", precision="4-bit", dtype="bfloat16", top1=0.5,
        agreement=0.5, kl=1.0, kl_max=2.0, positions=1200, prompts=16, cause="other",
        checks=(Check(name="kl", passed=False, measured=1.0, wanted=0.4),),
    )  # fmt: skip
    known = ExportFacts(kind="nf4", out=str(tmp_path), model="m", name="weak", passport=checked)
    live = (Token(text="Ahoy"), Token(text="!", instead="."))
    exports.add(home, known, (Example(prompt="<s>Hi</s>", live=live, exported="Hi.", kl=2.0),))
    assert "FAILED" in call(home, "export", "list").out
    words = call(home, "export", "show", tmp_path).out
    assert "Weights: The export answers otherwise" in words
    assert "without an adapter there is no training that could be lost" in words
    assert "It differs by 2 nats a token at: <s>Hi</s>" in words
    assert "live:   'Ahoy!'" in words
