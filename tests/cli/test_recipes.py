"""check and dataset: everything wrong at once, nothing written."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from studio.library.folders import Home
from tests.support.command_line import ROOT, ask, call, command, write_recipe, write_rows


def test_a_sound_recipe_can_be_run(home: Home, recipe: Path) -> None:
    said = ask(home, "check", recipe)
    assert said.code == 0
    assert [p for p in said.result["problems"] if p["severity"] == "error"] == []


def test_five_mistakes_of_five_kinds_are_named_at_once(home: Home, tmp_path: Path) -> None:
    recipe = tmp_path / "five.yaml"
    recipe.write_text(
        "model: nowhere/at-all\n"
        "dataset: missing.jsonl\n"
        "method: qlra\n"
        "training: {epochs: none, learning_rate: 7}\n",
        encoding="utf-8",
    )
    said = ask(home, "check", recipe)
    assert said.code == 1
    problems = said.result["problems"]
    assert {p["field"] for p in problems if p["severity"] == "error"} == {
        "model",
        "dataset",
        "method",
        "training.epochs",
        "training.learning_rate",
    }
    assert all(set(p) == {"field", "text", "fix", "severity", "row", "source"} for p in problems)
    assert all(p["fix"] for p in problems if p["severity"] == "error")


def test_train_refuses_what_check_refuses_and_writes_nothing(home: Home, tmp_path: Path) -> None:
    recipe = tmp_path / "bad.yaml"
    recipe.write_text("model: nowhere/at-all\ndataset: missing.jsonl\n", encoding="utf-8")
    said = ask(home, "train", recipe)
    assert said.code == 1
    assert {p["field"] for p in said.error["problems"]} == {"model", "dataset"}
    assert list(home.runs.iterdir()) == []


def test_what_is_no_yaml_says_where(home: Home, tmp_path: Path) -> None:
    recipe = tmp_path / "torn.yaml"
    recipe.write_text("model: starter\ndataset: [sample\n", encoding="utf-8")
    said = ask(home, "check", recipe)
    assert said.code == 1
    assert "line 3" in said.error["text"]


def test_paths_are_looked_up_beside_the_recipe(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    write_rows(folder / "rows.jsonl", 48)
    recipe = write_recipe(folder / "recipe.yaml", tiny_model, Path("rows.jsonl"))
    said = ask(home, "check", recipe)
    assert said.code == 0, said.result


def test_a_dataset_is_recognised(home: Home, rows: Path, tiny_model: Path) -> None:
    said = ask(home, "dataset", rows, "--model", tiny_model)
    assert said.code == 0
    result = said.result
    assert (result["rows"], result["usable_rows"]) == (48, 48)
    assert result["format"]
    assert 0 < result["trained_share"] < 1
    assert result["tokens"] > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no file"),
        ("", "no row"),
        ("this is no json\nnor is this\n", "json"),
        ('{"colour": "red"}\n{"colour": "blue"}\n', ""),
    ],
)
def test_a_dataset_that_can_not_be_used(
    home: Home, tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "bad.jsonl"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    said = ask(home, "dataset", file)
    assert said.code == 1
    last = said.lines[-1]
    told = last["error"]["text"] if "error" in last else json.dumps(last["result"]["problems"])
    assert words in told.lower()
    assert "Traceback" not in said.err


def test_one_broken_row_in_a_thousand_is_named_and_passed_over(home: Home, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", 1000)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[699] = '{"messages": [{"role": "user", "cont'
    file.write_text("\n".join(lines), encoding="utf-8")
    said = ask(home, "dataset", file)
    assert said.code == 0
    assert (said.result["rows"], said.result["usable_rows"]) == (1000, 999)
    assert [p["row"] for p in said.result["problems"]] == [700]


def test_a_dataset_with_every_token_masked_blocks(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    file = tmp_path / "masked.jsonl"
    chat = {"messages": [{"role": "user", "content": "Nobody answers me."}]}
    file.write_text("\n".join([json.dumps(chat)] * 30), encoding="utf-8")
    said = ask(home, "train", write_recipe(tmp_path / "r.yaml", tiny_model, file))
    assert said.code == 1
    assert said.error["problems"]
    assert list(home.runs.iterdir()) == []


def test_a_length_that_cuts_every_answer_off_blocks(
    home: Home, tmp_path: Path, rows: Path, tiny_model: Path
) -> None:
    recipe = write_recipe(tmp_path / "r.yaml", tiny_model, rows)
    recipe.write_text(recipe.read_text("utf-8").replace("max_length: 64", "max_length: 4"), "utf-8")
    said = ask(home, "check", recipe)
    assert said.code == 1


def test_several_datasets_and_columns_are_named_on_the_line(home: Home, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("frage,antwort,nr\nWas?,Das.,1\nWo?,Da.,2\n", "utf-8")
    columns = ["--column", "prompt=frage", "--column", "completion=antwort"]
    said = ask(home, "dataset", tmp_path / "a.csv", tmp_path / "b.csv", *columns, "--limit", "1")
    assert said.code == 0, said.out
    assert [part["rows"] for part in said.result["parts"]] == [1, 1]
    assert said.result["unmapped"] == ["nr"]
    people = call(home, "dataset", tmp_path / "a.csv", tmp_path / "b.csv", *columns)
    assert "CSV, UTF-8" in people.out
    assert "Learnt   The answer of each row." in people.out
    assert f"{tmp_path / 'b.csv'}: 2 of 2 rows" in people.out
    assert call(home, "dataset", tmp_path / "a.csv", "--column", "prompt").code == 2


def test_a_dataset_of_the_hub_that_can_not_be_reached(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        said = ask(home, "dataset", "org/answers", "--config", "en", "--revision", "v1")
    assert said.code == 1
    assert said.error["title"] == "The hub can't be reached"


def test_a_relative_path_is_looked_up_where_the_caller_is(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "rows.jsonl", 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        command(home, "dataset", "rows.jsonl", "--json"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
