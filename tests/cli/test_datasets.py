"""datasets: sets built, listed, looked at by name, trained on, deleted."""

from __future__ import annotations

from pathlib import Path

from studio.core.own_sets import Rating
from studio.library import ratings
from studio.library.folders import Home
from tests.support.command_line import ask, call


def test_sets_are_built_and_used_by_name(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    assert "No own sets" in call(home, "datasets").out
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("One paragraph.\n\nAnd another.\n", "utf-8")
    said = ask(
        home, "datasets", "build", "--from-folder", texts, "--out", "my notes", "--characters", "15"
    )
    assert (said.code, said.result["name"], said.result["rows"]) == (0, "my-notes", 2)
    tokens = ("--model", tiny_model, "--tokens", "50", "--overlap", "5")
    said = ask(home, "datasets", "build", "--from-folder", texts, "--out", "b", *tokens)
    assert (said.code, said.result["rows"]) == (0, 1)
    said = ask(home, "datasets", "copy", "sample", "--out", "c")
    assert (said.code, said.result["rows"]) == (0, 440)
    said = ask(home, "datasets", "list")
    assert {row["name"]: row["rows"] for row in said.result} == {"my-notes": 2, "b": 1, "c": 440}

    assert ask(home, "dataset", "my-notes").result["usable_rows"] == 2
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"model: {tiny_model}\ndataset: c\n", "utf-8")
    assert ask(home, "check", recipe).code == 0
    assert ask(home, "datasets", "delete", "c").code == 0
    assert "“c”" in ask(home, "check", recipe).out


def test_a_set_of_rated_answers(home: Home) -> None:
    build = ("datasets", "build", "--from-chats", "--out", "mine")
    assert ask(home, *build).error["title"] == "No rated answers"
    asked = ({"role": "user", "content": "Hello?"},)
    ratings.rate(home, Rating(answer="1", messages=asked, text="Hi!", rating="up"))
    assert ask(home, *build).result["rows"] == 1
    assert [row["name"] for row in ask(home, "datasets").result] == ["mine", "chats"]


def test_sizes_need_their_unit(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    build = ("datasets", "build", "--from-folder", tmp_path, "--out", "x")
    assert "--model" in ask(home, *build, "--tokens", "5").error["fix"]
    assert ask(home, *build, "--model", tiny_model, "--characters", "5").code == 1
    assert ask(home, "datasets", "build", "--out", "x").code == 2
    assert ask(home, *build, "--from-chats").code == 2
