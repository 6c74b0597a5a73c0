"""models, adapters, chat, merge and doctor on a home where something was trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors import safe_open

from studio.library.folders import Home
from tests.support import tiny_model as tiny
from tests.support.command_line import ask, call


def test_chat_answers_once(library: Home, tiny_model: Path) -> None:
    said = ask(library, "chat", "--model", tiny_model, "--prompt", "Hello", "--max-new-tokens", "6")
    assert said.code == 0, said.lines[-1]
    assert set(said.result) >= {"text", "tokens", "tokens_per_second"}
    assert 0 < said.result["tokens"] <= 6
    assert "".join(e["text"] for e in said.events("token_text")) == said.result["text"]
    assert list(library.jobs.iterdir()) == []


def test_chat_answers_every_line_with_an_adapter(library: Home) -> None:
    said = call(library, "chat", "--adapter", "first", "--max-new-tokens", "4", stdin="One\nTwo\n")
    assert said.code == 0, said.err
    assert said.err.count("tokens/s") == 2


def test_chat_needs_somebody_to_talk_to(library: Home) -> None:
    assert ask(library, "chat", "--prompt", "Hello").code == 1


def test_a_merged_folder_is_a_model(library: Home, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    said = ask(library, "merge", "--adapter", "first", "--out", out)
    assert said.code == 0, said.lines[-1]
    assert said.result["path"] == str(out)
    assert said.result["bytes"] > 0
    assert said.result["passport"]["grade"]
    with safe_open(out / "model.safetensors", framework="np") as weights:
        names = list(weights.keys())
    assert names
    assert not [name for name in names if "lora" in name]

    again = ask(library, "merge", "--adapter", "first", "--out", out)
    assert again.code == 1
    assert "not empty" in again.error["text"]


def test_an_out_inside_a_model_a_run_or_the_sample_is_refused(
    library: Home, tiny_model: Path
) -> None:
    (run,) = library.runs.iterdir()
    for inside in (tiny_model / "out", run / "deep" / "out"):
        said = ask(library, "merge", "--adapter", "first", "--out", inside)
        assert said.code == 1
        assert "inside a" in said.error["text"]
        assert not inside.exists()


def test_an_out_that_can_not_be_written(library: Home, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    said = ask(library, "merge", "--adapter", "first", "--out", file / "out")
    assert said.code == 1
    assert "written" in said.error["text"]


def test_an_adapter_for_another_base_is_refused(library: Home, tmp_path: Path) -> None:
    other = tiny.build(tmp_path / "other")
    config = json.loads((other / "config.json").read_text("utf-8"))
    wide = _widened(other, config)
    out = tmp_path / "out"
    said = ask(library, "merge", "--adapter", "first", "--base", wide, "--out", out)
    assert said.code == 1
    assert not out.exists()


def _widened(folder: Path, config: dict[str, object]) -> Path:
    """The same model with one more layer's worth of feed-forward width."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for name, value in list(weights.items()):
        if ".gate_proj." in name or ".up_proj." in name:
            weights[name] = np.concatenate([value, value])
        if ".down_proj." in name:
            weights[name] = np.concatenate([value, value], axis=1)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config["intermediate_size"] = 2 * tiny.INNER
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_adapters_are_listed_imported_renamed_and_deleted(library: Home, tmp_path: Path) -> None:
    (first,) = ask(library, "adapters").result
    assert {"path", "name", "base", "size"} <= set(first)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(first["path"], elsewhere)
    imported = ask(library, "adapters", "import", elsewhere).result
    renamed = ask(library, "adapters", "rename", imported["path"], "second").result
    assert renamed["name"] == "second"
    deleted = ask(library, "adapters", "delete", "second")
    assert deleted.code == 0
    assert Path(deleted.result["trash"]).is_dir()
    assert [row["name"] for row in ask(library, "adapters", "list").result] == [first["name"]]


def test_models_are_listed_and_imported(home: Home, tiny_model: Path) -> None:
    assert ask(home, "models").result == []
    said = ask(home, "models", "import", tiny_model, "--name", "mine")
    assert said.code == 0
    (row,) = ask(home, "models", "list").result
    assert {"path", "name", "size"} <= set(row)
    assert Path(row["path"]) == home.models / "mine"
    assert row["problems"] == []


def test_a_model_folder_without_weights(home: Home, tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    refused(home, folder)


def test_a_model_folder_with_truncated_weights(home: Home, tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused(home, folder)


def test_a_model_folder_of_an_unknown_architecture(home: Home, tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"model_type": "brand_new", "architectures": ["BrandNewForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    refused(home, folder)


def refused(home: Home, folder: Path) -> None:
    """Neither imported nor talked to, in a sentence with a fix, and nothing is left behind."""
    for arguments in (("models", "import", folder), ("chat", "--model", folder, "--prompt", "x")):
        said = ask(home, *arguments)
        assert said.code == 1
        assert said.error["fix"]
    assert list(home.models.iterdir()) == []
    assert list(home.jobs.iterdir()) == []


def test_a_file_that_is_no_gguf(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"not a model")
    said = ask(home, "models", "import", file)
    assert said.code == 1
    assert "GGUF" in said.error["text"]


def test_the_doctor_looks_at_everything(home: Home) -> None:
    said = ask(home, "doctor")
    names = [check["name"] for check in said.result["checks"]]
    assert set(names) >= {"Python", "torch", "home", "keeper", "GPU", "CPU", "RAM", "disk"}
    assert said.code == (1 if said.result["status"] == "problem" else 0)
    assert all(c["fix"] for c in said.result["checks"] if c["status"] != "ok")


def test_the_doctor_says_why_a_card_can_not_be_used(home: Home) -> None:
    checks = ask(home, "doctor").result["checks"]
    (gpu,) = [check for check in checks if check["name"] == "GPU"]
    assert gpu["text"]
    assert gpu["status"] in ("ok", "warning", "problem")


def test_a_home_that_can_not_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    said = ask(Home(file / "home"), "doctor")
    assert said.code == 1
    (home,) = [check for check in said.result["checks"] if check["name"] == "home"]
    assert home["status"] == "problem"
    assert "can't be written" in ask(Home(file / "home"), "runs").error["text"]
